"""One request as its client lived it, and what many of them come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """From the first byte of the first attempt to the acknowledgement, or to the client giving up."""

    kind: str
    key: str
    size_bytes: int
    sent_at: float
    """Seconds of the monotonic clock."""
    ended_at: float
    troubles: tuple[str, ...] = ()
    """Why each attempt but the last was not enough, with the second at which that was known."""
    failure: str = ""
    """Why the client gave up; empty if the request was acknowledged."""
    wrong: str = ""
    """What was wrong with the content that a read returned."""

    @property
    def stall_seconds(self) -> float:
        return self.ended_at - self.sent_at

    def __str__(self) -> str:
        told = "; ".join(self.troubles) or "no attempt failed"
        end = f"; gave up: {self.failure}" if self.failure else ""
        return f"{self.stall_seconds:.2f} s {self.kind} {self.size_bytes} bytes {self.key} ({told}{end})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What became of the requests of one span of time."""

    requests: int
    failed: tuple[Request, ...]
    wrong: tuple[Request, ...]
    slowest: tuple[Request, ...]
    """The worst first."""
    longest_silence_seconds: float
    """Between any two acknowledgements: kinder than the longest stall, and what others often report."""

    @property
    def longest_stall_seconds(self) -> float:
        return self.slowest[0].stall_seconds if self.slowest else 0.0


def summarise(requests: Iterable[Request], *, since: float, until: float, worst: int = 5) -> Summary:
    """Judge the requests that were under way at any moment of a span of the monotonic clock."""
    requests = tuple(requests)
    chosen = [request for request in requests if request.ended_at >= since and request.sent_at <= until]
    acknowledged = sorted(request.ended_at for request in requests if not request.failure)
    return Summary(
        requests=len(chosen),
        failed=tuple(request for request in chosen if request.failure),
        wrong=tuple(request for request in chosen if request.wrong),
        slowest=tuple(sorted(chosen, key=lambda request: -request.stall_seconds)[:worst]),
        longest_silence_seconds=_longest_gap(acknowledged, since=since, until=until),
    )


def _longest_gap(moments: Sequence[float], *, since: float, until: float) -> float:
    """Return the longest time between two moments, of those that reach into a span."""
    gaps = (after - before for before, after in pairwise(moments) if after >= since and before <= until)
    return max(gaps, default=0.0)
