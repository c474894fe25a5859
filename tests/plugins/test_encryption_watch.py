"""The watch finds whatever lies in the clear, goes on where it was stopped, and knows when it does not know."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from plugins.module_utils.encryption_result import faults
from roles.encryption_watch.files import encryption_watch
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
    """Objects with their attributes; None for one that is deleted after the listing.

    One with a locator is found with that locator only, as in Ceph.
    """

    def __init__(
        self, objects: Mapping[str, Mapping[str, bytes] | None], locators: Mapping[str, str] | None = None
    ) -> None:
        self.objects = objects
        self.locators = locators or {}
        self.locator = ""

    def set_locator_key(self, key: str) -> None:
        self.locator = key

    def list_objects(self) -> list[Item]:
        return [Item(name) for name in self.objects]

    def get_xattrs(self, name: str) -> Any:  # noqa: ANN401 -- an iterator of pairs
        found = self.objects.get(name)
        if found is None or self.locators.get(name, "") != self.locator:
            raise GoneError
        return iter(found.items())


def store(
    objects: Mapping[str, dict[str, bytes] | None],
    buckets: dict[str, dict[str, bytes] | None] | None = None,
    *,
    locators: Mapping[str, str] | None = None,
) -> Store:
    found = locators or {}
    listed = [{"namespace": "", "name": name} | ({"locator": found[name]} if name in found else {}) for name in objects]
    return Store(
        data=Pool(objects, locators),
        instances=Pool(buckets or {}),
        absent=GoneError,
        listing=lambda: (one for one in listed),
    )


def fresh() -> Pass:
    return Pass(started=NOW)


def walked(found: Store, state: Pass) -> bool:
    return walk(found, state, pause=lambda: None, may_go_on=lambda: True)


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


def test_a_pass_counts_heads_only() -> None:
    state = fresh()

    assert walked(store({f"{MARKER}_a": SEALED, f"{MARKER}__shadow_a": {}, f"{MARKER}_b": CLEAR}), state)

    assert (state.objects, state.clear_objects, state.samples) == (2, 1, [f"{MARKER}_b"])


def test_an_object_with_a_locator_is_found_there_and_the_ones_after_it_without() -> None:
    names = [f"{MARKER}__hidden", f"{MARKER}_b"]
    found, state = store(dict.fromkeys(names, CLEAR), locators={names[0]: f"{MARKER}_hidden"}), fresh()

    assert walked(found, state)

    assert (state.samples, state.absent) == (names, [])


def test_what_was_deleted_since_is_forgotten_and_what_is_listed_still_is_unseen() -> None:
    names = [f"{MARKER}_a", f"{MARKER}_b", f"{MARKER}_c"]
    found, state = store({names[0]: SEALED, names[1]: None, names[2]: None}), fresh()
    walked(found, state)
    later = store({names[0]: SEALED, names[1]: None})

    assert state.absent == [["", names[1]], ["", names[2]]]
    assert judge(later, state, NOW).unseen_objects == 1


def test_what_was_absent_once_and_is_found_again_counts() -> None:
    state = fresh()
    walked(store({f"{MARKER}_a": None}), state)

    result = judge(store({f"{MARKER}_a": CLEAR}), state, NOW)

    assert (result.objects, result.clear_objects, result.unseen_objects) == (1, 1, 0)


def test_a_pass_that_was_stopped_goes_on_and_finds_what_one_run_would_have() -> None:
    groups = store({f"{MARKER}_{number}": CLEAR if number % 3 else SEALED for number in range(10)})
    whole = fresh()
    walked(groups, whole)
    state, runs = fresh(), 0
    turns = iter([True, False] * 20)
    while not walk(groups, state, pause=lambda: None, may_go_on=lambda: next(turns)):
        state = resumed(json.dumps({name: getattr(state, name) for name in state.__dataclass_fields__}), "later")
        runs += 1

    assert runs > 3
    assert state == whole


def test_a_pass_whose_place_is_gone_says_so() -> None:
    state = Pass(started=NOW, last=["", f"{MARKER}_gone"], objects=1)

    with pytest.raises(LookupError):
        walked(store({f"{MARKER}_a": SEALED}), state)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"groups": 2}', '{"started": "x", "last": [], "absent": [], "b": 1}'])
def test_a_place_that_cannot_be_read_begins_the_pass_anew(text: str) -> None:
    assert resumed(text, NOW) == fresh()


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_listing_is_read_in_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [{"namespace": "", "name": '案件{"a"}, ]\n'}, {"namespace": "", "name": "b", "locator": "}"}]
    monkeypatch.setattr(encryption_watch, "CHUNK", size)

    assert list(encryption_watch.entries(io.StringIO(json.dumps(listed, ensure_ascii=False)))) == listed


def test_a_listing_that_breaks_off_is_no_listing() -> None:
    with pytest.raises(ValueError, match="in the middle"):
        list(encryption_watch.entries(io.StringIO('[{"name": "a"},{"na')))


def test_buckets_without_default_encryption_are_named_once() -> None:
    instances: dict[str, dict[str, bytes] | None] = {
        "firm-a": {},
        ".bucket.meta.firm-a:x.1": {DEFAULT: b"1"},
        ".bucket.meta.firm-b:x.2": {},
        ".bucket.meta.firm-c:x.3": None,
    }

    result = judge(store({}, instances), fresh(), NOW)

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
            unseen_objects=0,
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
    good = {"finished": NOW, "clear_buckets": [], "clear_objects": 0, "unseen_objects": 0, "samples": ["privileged"]}
    return json.dumps({**good, **changes})


def test_a_clean_and_fresh_result_says_nothing() -> None:
    assert told(result()) == ""


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "no pass is whole yet"),
        ("{", "cannot be read"),
        (result(finished="yesterday"), "cannot be read"),
        (result(clear_buckets=["firm-b"]), "firm-b"),
        (result(unseen_objects=3), "unknown: 3 objects are listed and cannot be found"),
        (result(clear_objects=3), "3 objects are stored in the clear"),
    ],
)
def test_a_finding_or_a_doubt_is_a_fault_and_names_no_object(found: str | None, words: str) -> None:
    assert words in told(found)
    assert "privileged" not in told(found)


def test_a_stale_result_is_unknown() -> None:
    assert "unknown: the last whole pass ended 49 hours ago" in told(result(), hours=49)
