"""A gateway has a token that OpenBao takes, or gets one within a look and a login; nothing else disturbs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from roles.openbao_agent.files.gateway_token import Keeper

LIFE = 3600
EVERY = 15.0


class OpenBaoError(Exception):
    """Stands for `openbao.OpenBaoError`."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"{status}")
        self.status = status


@dataclass(slots=True)
class OpenBao:
    """A server that knows some tokens, and a moment later those that it has just given."""

    token: str = ""
    good: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    late: int = 0
    """So many looks a new token is refused."""
    broken: int | None = 200
    """Status of every answer if it is not 200; None: no answer."""

    def read(self, path: str) -> dict[str, Any] | None:
        self.calls.append(path)
        self._refuse()
        if self.late:
            self.late -= 1
            raise OpenBaoError(403)
        if self.token not in self.good:
            raise OpenBaoError(403)
        return {}

    def write(self, path: str, body: object = None) -> dict[str, Any]:
        self.calls.append(path)
        self._refuse()
        if path == "auth/cert/login":
            assert body == {"name": "gateway"}
            fresh = f"token-{sum(call == path for call in self.calls)}"
            self.good.add(fresh)
            return {"auth": {"client_token": fresh, "lease_duration": LIFE}}
        if self.token not in self.good:
            raise OpenBaoError(400)
        if path == "auth/token/revoke-self":
            self.good.remove(self.token)
            return {}
        return {"auth": {"lease_duration": LIFE}}

    def _refuse(self) -> None:
        if self.broken != 200:
            raise OpenBaoError(self.broken)


@dataclass(slots=True)
class Clock:
    """Time that passes only by waiting."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@dataclass(slots=True)
class Scene:
    """A keeper, its server, its time, and what it said."""

    server: OpenBao
    clock: Clock
    path: Path
    said: list[str]
    keeper: Keeper

    @property
    def placed(self) -> str:
        return self.path.read_text() if self.path.exists() else ""


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Scene]:
    def scene(**server: Any) -> Scene:  # noqa: ANN401 -- fields of OpenBao
        bao, clock, said, path = OpenBao(**server), Clock(), list[str](), tmp_path / "token"
        keeper = Keeper(client=bao, path=path, error=OpenBaoError, say=said.append, now=clock, wait=clock.wait)
        return Scene(bao, clock, path, said, keeper)

    return scene


def test_the_first_look_logs_in_and_writes_a_file_for_one_user(make: Callable[..., Scene]) -> None:
    scene = make()

    scene.keeper.look(EVERY)

    assert scene.placed == "token-1"
    assert scene.path.stat().st_mode & 0o777 == 0o600
    assert not any("token-1" in line for line in scene.said)


def test_a_token_that_a_standby_does_not_know_yet_is_not_given_to_the_gateway(make: Callable[..., Scene]) -> None:
    scene = make(late=3)
    scene.path.write_text("before")
    seen: list[str] = []
    wait = scene.keeper.wait

    def waiting(seconds: float) -> None:
        seen.append(scene.placed)
        wait(seconds)

    scene.keeper.wait = waiting

    scene.keeper.look(EVERY)

    assert seen[:3] == ["before"] * 3
    assert scene.placed == "token-1"


def test_a_token_that_stays_unknown_is_not_placed(make: Callable[..., Scene]) -> None:
    scene = make(late=10_000)
    scene.path.write_text("before")

    scene.keeper.look(EVERY)

    assert (scene.placed, scene.server.token) == ("before", "")


def test_a_revoked_token_is_replaced_at_the_next_look(make: Callable[..., Scene]) -> None:
    scene = make()
    scene.keeper.look(EVERY)
    scene.server.good.clear()

    scene.keeper.look(EVERY)

    assert scene.placed == "token-2"
    assert any("refused" in line for line in scene.said)


def test_the_token_of_an_earlier_run_ends_only_after_no_request_can_carry_it(make: Callable[..., Scene]) -> None:
    scene = make(good={"before"})
    scene.path.write_text("before")
    at = scene.clock.now

    scene.keeper.look(EVERY)

    assert scene.placed == "token-1"
    assert "before" not in scene.server.good
    assert scene.server.token == scene.placed
    assert scene.clock.now - at >= 10


def test_it_is_renewed_in_its_first_third_and_asked_about_before(make: Callable[..., Scene]) -> None:
    scene = make()
    scene.keeper.look(EVERY)
    scene.server.calls.clear()

    scene.keeper.look(EVERY)
    scene.clock.wait(LIFE / 3 + 1)
    scene.keeper.look(EVERY)
    scene.keeper.look(EVERY)

    assert scene.server.calls == ["auth/token/lookup-self", "auth/token/renew-self", "auth/token/lookup-self"]


@pytest.mark.parametrize("broken", [None, 500, 503], ids=["no answer", "broken", "sealed"])
def test_an_openbao_that_is_away_costs_no_token(make: Callable[..., Scene], broken: int | None) -> None:
    scene = make()
    scene.keeper.look(EVERY)
    scene.server.broken = broken

    scene.keeper.look(EVERY)
    scene.server.broken = 200
    scene.keeper.look(EVERY)

    assert scene.placed == "token-1"
    assert scene.server.calls.count("auth/cert/login") == 1


def test_without_a_token_it_looks_often_and_says_the_same_trouble_once(make: Callable[..., Scene]) -> None:
    scene = make(broken=None)

    pauses = [scene.keeper.look(EVERY) for _ in range(3)]
    said = len(scene.said)
    scene.server.broken = 200

    assert (pauses, said) == ([2, 2, 2], 1)
    assert scene.keeper.look(EVERY) == EVERY


def test_a_file_that_was_lost_is_written_again(make: Callable[..., Scene]) -> None:
    scene = make()
    scene.keeper.look(EVERY)
    scene.path.unlink()

    scene.keeper.look(EVERY)

    assert scene.placed == "token-1"
