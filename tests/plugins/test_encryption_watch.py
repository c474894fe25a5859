"""The watch finds whatever lies in the clear, goes on where it was stopped, and knows when it does not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from plugins.module_utils.encryption_result import faults
from roles.encryption_watch.files.encryption_watch import (
    DEFAULT,
    ETAG,
    MODE,
    Pass,
    Result,
    Store,
    bucket_of,
    is_clear,
    is_tail,
    judge,
    metrics,
    resumed,
    walk,
)

MARKER = "d87f182e-8958-4ac5-bf9a-c05988adc314.4584.2"
NOW = "2026-12-01T00:00:00Z"
SEALED = {ETAG: b"1", MODE: b"AES256"}
CLEAR = {ETAG: b"1"}


class GoneError(Exception):
    """Stands for rados.ObjectNotFound."""


class Item:
    """An object as rados lists it."""

    def __init__(self, key: str) -> None:
        self.key = key


class Pool:
    """Objects with their attributes; None for one that is deleted after the listing."""

    def __init__(self, objects: Mapping[str, Mapping[str, bytes] | None]) -> None:
        self.objects = objects

    def list_objects(self) -> list[Item]:
        return [Item(name) for name in self.objects]

    def get_xattrs(self, name: str) -> Any:  # noqa: ANN401 -- an iterator of pairs
        found = self.objects[name]
        if found is None:
            raise GoneError
        return iter(found.items())


def store(
    *groups: Mapping[str, dict[str, bytes] | None], buckets: dict[str, dict[str, bytes] | None] | None = None
) -> Store:
    merged = {name: attributes for group in groups for name, attributes in group.items()}
    return Store(
        data=Pool(merged),
        instances=Pool(buckets or {}),
        absent=GoneError,
        listing=lambda group: json.dumps([{"namespace": "", "name": name} for name in groups[group]]).encode(),
    )


def fresh(groups: int) -> Pass:
    return Pass(groups=groups, started=NOW)


@pytest.mark.parametrize(
    ("own", "tail"),
    [
        ("_案件/狀書", False),
        ("__:SqyZc7m_versioned", False),
        ("___shadow_of a client's own", False),
        ("___multipart_of a client's own", False),
        ("_a__shadow_b", False),
        ("__shadow_.FZpfIFcpRqYBfAsyeInZy90GHT7iniy_1", True),
        ("__multipart_m.2~gtw6PVS1qyfodLrw5zNYL6h8QMG.3", True),
    ],
)
def test_a_tail_is_told_from_an_object_that_is_named_like_one(own: str, tail: bool) -> None:
    assert is_tail(MARKER + own) is tail


@pytest.mark.parametrize(
    ("attributes", "clear"),
    [
        (SEALED, False),
        ({ETAG: b"1", MODE: b"SSE-KMS\0"}, False),
        (CLEAR, True),
        ({ETAG: b"1", MODE: b""}, True),
        ({ETAG: b"1", MODE: b"SSE-C-AES256"}, True),
        ({ETAG: b"1", MODE: b"RGW-AUTO"}, True),
        ({"user.rgw.olh.info": b"1"}, False),
        ({}, False),
    ],
)
def test_only_a_key_in_openbao_counts_as_encryption(attributes: dict[str, bytes], clear: bool) -> None:
    assert is_clear(attributes) is clear


def test_a_pass_counts_heads_only_and_skips_what_was_deleted() -> None:
    groups = store({f"{MARKER}_a": SEALED, f"{MARKER}__shadow_a": {}}, {f"{MARKER}_b": CLEAR, f"{MARKER}_c": None})
    state = fresh(2)

    assert walk(groups, state, pause=lambda: None, may_go_on=lambda: True)

    assert (state.objects, state.clear_objects, state.samples) == (2, 1, [f"{MARKER}_b"])


def test_a_pass_that_was_stopped_goes_on_and_finds_what_one_run_would_have() -> None:
    groups = store(*({f"{MARKER}_{number}": CLEAR if number % 3 else SEALED} for number in range(10)))
    whole = fresh(10)
    walk(groups, whole, pause=lambda: None, may_go_on=lambda: True)
    state, runs = fresh(10), 0
    turns = iter([True, False] * 20)
    while not walk(groups, state, pause=lambda: None, may_go_on=lambda: next(turns)):
        state = resumed(json.dumps({name: getattr(state, name) for name in state.__dataclass_fields__}), 10, "later")
        runs += 1

    assert runs > 3
    assert state == whole


@pytest.mark.parametrize("text", ["", "{", "[]", '{"groups": 2}', '{"groups": 2, "started": "x", "strange": 1}'])
def test_a_place_that_cannot_be_read_begins_the_pass_anew(text: str) -> None:
    assert resumed(text, 2, NOW) == fresh(2)


def test_other_placement_groups_begin_the_pass_anew() -> None:
    assert resumed('{"groups": 2, "started": "x", "next_group": 1}', 4, NOW) == fresh(4)


def test_buckets_without_default_encryption_are_named_once() -> None:
    instances: dict[str, dict[str, bytes] | None] = {
        "firm-a": {},
        ".bucket.meta.firm-a:x.1": {DEFAULT: b"1"},
        ".bucket.meta.firm-b:x.2": {},
        ".bucket.meta.firm-c:x.3": None,
    }

    result = judge(store({}, buckets=instances), fresh(1), NOW)

    assert (result.buckets, result.clear_buckets) == (2, ("firm-b",))
    assert bucket_of("firm-a") is None


def test_no_name_of_an_object_reaches_the_metrics() -> None:
    text = metrics(
        Result(
            started=NOW,
            finished=NOW,
            buckets=1,
            objects=2,
            clear_buckets=("secret",),
            clear_objects=1,
            samples=("secret",),
        ),
        5.0,
    )

    assert "legalcloud_encryption_clear_objects 1\n" in text
    assert "legalcloud_encryption_clear_buckets 1\n" in text
    assert "secret" not in text


def told(found: str | None, *, hours: int = 1) -> str:
    now = datetime(2026, 12, 1, tzinfo=UTC) + timedelta(hours=hours)
    return " ".join(faults(found, path="/x/result.json", now=now, max_age=timedelta(hours=48)))


def result(**changes: object) -> str:
    return json.dumps({"finished": NOW, "clear_buckets": [], "clear_objects": 0, "samples": ["privileged"], **changes})


def test_a_clean_and_fresh_result_says_nothing() -> None:
    assert told(result()) == ""


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "no pass is whole yet"),
        ("{", "cannot be read"),
        (result(finished="yesterday"), "cannot be read"),
        (result(clear_buckets=["firm-b"]), "firm-b"),
        (result(clear_objects=3), "3 objects are stored in the clear"),
    ],
)
def test_a_finding_or_a_doubt_is_a_fault_and_names_no_object(found: str | None, words: str) -> None:
    assert words in told(found)
    assert "privileged" not in told(found)


def test_a_stale_result_is_unknown() -> None:
    assert "unknown: the last whole pass ended 49 hours ago" in told(result(), hours=49)
