"""An OpenBao that answers from a table, and notes what it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.openbao import OpenBaoError


class Recorded:
    """Stands for a Client; `answers` are by method and path."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.calls: list[tuple[str, Any]] = []

    def _answer(self, what: str, body: object) -> Any:  # noqa: ANN401 -- JSON
        self.calls.append((what, body))
        answer = self.answers.get(what)
        if isinstance(answer, deque):  # one after another, the last one for ever
            answer = answer.popleft() if len(answer) > 1 else answer[0]
        if isinstance(answer, OpenBaoError):
            raise answer
        return answer

    def read(self, path: str) -> Any:  # noqa: ANN401 -- as above
        return self._answer(f"GET {path}", None)

    def keys(self, path: str) -> list[str]:
        return list(self._answer(f"LIST {path}", None) or [])

    def write(self, path: str, body: object = None) -> Any:  # noqa: ANN401 -- as above
        return self._answer(f"POST {path}", body) or {}

    def delete(self, path: str) -> None:
        self._answer(f"DELETE {path}", None)

    def told(self) -> list[str]:
        """Return the calls that change something."""
        return [what for what, _ in self.calls if not what.startswith(("GET", "LIST"))]
