from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.agent.node import fuzz
from tests.agent.node.node_sample import HERE, Commands, settings

from legalcloud.errors import ParseError, SourceTimeoutError
from legalcloud.node import hsm
from legalcloud.node.hsm import Hsm
from legalcloud.node.subject import Level, World
from legalcloud.run import Done

DATA = HERE / "data/hsm"


def sample(name: str) -> bytes:
    return (DATA / name).read_bytes()


def words(*tokens: hsm.Token, level: Level) -> str:
    told = Hsm(tokens={f"token-{number}": one for number, one in enumerate(tokens)})
    return "\n".join(f"{line.words}. {line.remedy}" for line in hsm.lines(told) if line.level is level)


@dataclass(slots=True)
class Tool:
    """Answers as the helper would; counts how often it was asked, since each time is a login."""

    answers: list[bytes | Exception]
    asked: list[str] = field(default_factory=list)

    def __call__(self, name: str, *arguments: str) -> Done:
        assert name == "hsm"
        self.asked.extend(arguments)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Done(exit_code=1, output=answer, errors=b"")


def node(tmp_path: Path, tool: Tool) -> World:
    (tmp_path / hsm.CONFIGURATION).parent.mkdir(parents=True)
    (tmp_path / hsm.CONFIGURATION).write_bytes(sample("hsm.json"))
    told = settings()
    paths = replace(told.paths, history=tmp_path / "history")
    return World(settings=replace(told, paths=paths), run=Commands({}), ask=tool, root=tmp_path, keeps=True)


def test_a_recorded_token_is_there_with_its_keys() -> None:
    found = hsm.token(sample("kms.json"))

    assert (found.reason, found.serial) == ("good", "af27f88ccce5080b")
    assert [(key.label, key.kind, key.kept) for key in found.keys or ()] == [
        ("kek-1", "aes", True),
        ("login-ca", "ec", True),
    ]
    assert words(found, level=Level.FINDING) == ""


def test_a_key_that_could_leave_its_token_is_a_finding() -> None:
    loose = sample("evidence.json").replace(b'"never_extractable": true', b'"never_extractable": false')

    assert "key evidence of token token-0 was not made there" in words(hsm.token(loose), level=Level.FINDING)


def test_a_token_without_keys_is_not_good() -> None:
    empty = hsm.token(b'{"reason": "good", "token": {}, "keys": []}')

    assert "holds no key" in words(empty, level=Level.FINDING)
    assert words(empty, level=Level.GOOD) == ""


def test_an_absent_token_says_why_and_has_no_count_of_keys() -> None:
    absent = hsm.token(sample("absent.json"))

    assert absent.keys is None
    assert "cannot be used (token-absent): token-absent: no token" in words(absent, level=Level.FINDING)


def test_a_pin_that_was_refused_is_not_tried_again(tmp_path: Path) -> None:
    tool, reader = Tool([sample("pin_wrong.json")]), hsm.Reader()
    place = node(tmp_path, tool)

    first, second = reader(place), reader(place)

    assert first == second
    assert tool.asked == ["kms"]
    said = words(first.tokens["kms"], level=Level.FINDING)
    assert "then remove /var/lib/legalcloud-agent/hsm-refused and restart the agent" in said


def test_a_restart_of_the_agent_does_not_try_a_refused_pin_again_until_a_person_says_so(tmp_path: Path) -> None:
    tool = Tool([sample("pin_wrong.json"), sample("kms.json")])
    place = node(tmp_path, tool)

    first, restarted = hsm.Reader()(place), hsm.Reader()(place)
    assert (first, tool.asked) == (restarted, ["kms"])

    (tmp_path / hsm.REFUSED).unlink()
    assert hsm.Reader()(place).tokens["kms"].reason == "good"


def test_who_looks_once_never_logs_in_for_nobody_would_remember_a_refusal(tmp_path: Path) -> None:
    tool = Tool([])

    found = hsm.Reader()(replace(node(tmp_path, tool), keeps=False))

    assert tool.asked == []
    assert "only the running agent logs in" in words(found.tokens["kms"], level=Level.UNKNOWN)


def test_an_answer_that_nobody_understands_stops_every_try_and_says_how_to_go_on(tmp_path: Path) -> None:
    tool = Tool([b""])
    place = node(tmp_path, tool)

    hsm.Reader()(place)
    found = hsm.Reader()(place)

    assert tool.asked == ["kms"]
    assert "then remove /var/lib/legalcloud-agent/hsm-refused" in words(found.tokens["kms"], level=Level.UNKNOWN)


@pytest.mark.parametrize(("openbao", "tokens"), [("https://127.0.0.1:8200", 0), (None, None)])
def test_a_key_manager_whose_tokens_nobody_names_is_unknown(
    tmp_path: Path, openbao: str | None, tokens: int | None
) -> None:
    place = node(tmp_path, Tool([]))
    (tmp_path / hsm.CONFIGURATION).unlink()

    found = hsm.Reader()(replace(place, settings=replace(place.settings, openbao=openbao)))

    assert [line.level for line in hsm.lines(found)] == ([] if openbao is None else [Level.UNKNOWN])
    (count,) = [metric for metric in hsm.METRICS if metric.name == "legalcloud_hsm_tokens"]
    assert [value for _, value in count.samples(found)] == [tokens]


def test_refusals_that_cannot_be_read_stop_every_try(tmp_path: Path) -> None:
    tool = Tool([])
    place = node(tmp_path, tool)
    (tmp_path / hsm.REFUSED).write_text("{")

    with pytest.raises(ParseError):
        hsm.Reader()(place)
    assert tool.asked == []


def test_an_answer_that_nobody_understands_is_not_asked_for_again(tmp_path: Path) -> None:
    tool, reader = Tool([b"Traceback"]), hsm.Reader()
    place = node(tmp_path, tool)

    assert {reader(place).tokens["kms"].reason for _ in range(3)} == {"silent"}
    assert tool.asked == ["kms"]


def test_a_token_that_comes_back_is_good_again(tmp_path: Path) -> None:
    late = SourceTimeoutError("`hsm kms`: no answer")
    tool, reader = Tool([sample("absent.json"), late, sample("kms.json")]), hsm.Reader()
    place = node(tmp_path, tool)

    assert [reader(place).tokens["kms"].reason for _ in range(3)] == ["token-absent", "silent", "good"]


def test_a_node_without_tokens_is_asked_nothing(tmp_path: Path) -> None:
    place = World(settings=settings(), run=Commands({}), ask=Tool([]), root=tmp_path)

    assert hsm.Reader()(place) == Hsm(tokens={})


def test_a_list_of_tokens_that_cannot_be_read_is_not_an_empty_one() -> None:
    with pytest.raises(ParseError):
        hsm.names(b"{}")


@fuzz.lengths
def test_whatever_the_hsm_s_tool_says_is_facts_or_a_parse_error(mutations: int) -> None:
    answers = [sample(name) for name in ("kms.json", "evidence.json", "absent.json", "pin_wrong.json")]

    fuzz.facts_or_parse_error(hsm.token, answers, mutations)


@fuzz.lengths
def test_whatever_stands_in_the_file_of_refusals_is_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(hsm.refusals, [b'{"kms": ["pin-wrong", "token refused the PIN"]}'], mutations)


@fuzz.lengths
def test_whatever_the_list_of_tokens_holds_is_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(hsm.names, [sample("hsm.json")], mutations)
