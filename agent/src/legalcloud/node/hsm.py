"""The tokens of the node's HSM, as `legalcloud-hsm describe` shows them: are they there, do they hold their keys.

Each look is a login. A PIN that was refused once is not tried again until a person says so: another try or two would
lock the token. `legalcloud-hsm` remembers nothing, so the refusal is kept in a file: a restart does not lose it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from legalcloud import durable
from legalcloud.errors import LegalcloudError, ParseError
from legalcloud.node.settings import Paths
from legalcloud.node.subject import Level, Line, Metric, Subject, World, gauge
from legalcloud.tree import Tree
from legalcloud.tree import parse as parse_json

CONFIGURATION = Path("etc/legalcloud/hsm.json")
"""Which tokens the node has (role hsm); there is no secret in it."""
REFUSED = "hsm-refused"
"""Beside the history: tokens that refused their PIN, `{NAME: [REASON, WORDS]}`. Who removes it lets them be tried."""
_USUAL_FILE = Paths().history.with_name(REFUSED)
GOOD, SILENT = "good", "silent"
_REFUSALS = frozenset({"pin-wrong", "pin-latched", "pin-final-try", "pin-locked"})
"""Words of the tool after which no PIN may be tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key in a token."""

    label: str
    kind: str
    """`aes`, `rsa` or `ec`."""
    kept: bool
    """Whether it was made in the token and can never leave it."""
    fingerprint: str | None
    """Of its public half, or of what it makes of a fixed text; None if the token gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token."""

    reason: str
    """`good`, or why it cannot be used, in one word of `legalcloud-hsm`; `silent` if the tool said nothing."""
    said: str
    """The same for a person; empty if all is good."""
    serial: str | None
    keys: tuple[Key, ...] | None
    """None if they could not be looked at."""
    latched: bool = False
    """Whether nobody asks it any more until a person says that its PIN is mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hsm:
    """All tokens of the node."""

    tokens: Mapping[str, Token]
    """By the name that /etc/legalcloud/hsm.json gives them; empty on a node without any."""
    expected: bool = False
    """Whether there ought to be one, and nobody knows which."""


def names(raw: bytes) -> tuple[str, ...]:
    """Parse /etc/legalcloud/hsm.json. Raises: ParseError."""
    told = parse_json(raw, f"/{CONFIGURATION}")["tokens"].items()
    return tuple(sorted(Tree(name, "a token's name").word() for name, _ in told))


def token(raw: bytes) -> Token:
    """Parse what `legalcloud-hsm describe TOKEN` prints, whatever its exit code. Raises: ParseError."""
    told = parse_json(raw, "`legalcloud-hsm describe`")
    reason = told["reason"].word()
    if reason != GOOD:
        return Token(reason=reason, said=told.maybe("message", read=Tree.word) or reason, serial=None, keys=None)
    return Token(
        reason=reason,
        said="",
        serial=told["token"].maybe("serial", read=Tree.word),
        keys=tuple(_key(key) for key in told["keys"].elements()),
    )


def _key(key: Tree) -> Key:
    return Key(
        label=key["label"].word(),
        kind=key["type"].word(),
        kept=all(key[flag].flag() for flag in ("sensitive", "always_sensitive", "never_extractable", "local")),
        fingerprint=key.maybe("fingerprint", read=Tree.word),
    )


def refusals(raw: bytes) -> dict[str, Token]:
    """Parse the file REFUSED. Raises: ParseError."""
    told = parse_json(raw, f"the file {REFUSED}").items()
    words = {Tree(name, "a token's name").word(): [one.word() for one in said.elements()] for name, said in told}
    if not all(len(said) == 2 for said in words.values()):  # noqa: PLR2004 -- reason and words
        raise ParseError(f"the file {REFUSED} has another form")
    return {name: _unusable(reason, said, latched=True) for name, (reason, said) in words.items()}


def _unusable(reason: str, said: str, *, latched: bool = False) -> Token:
    return Token(reason=reason, said=said, serial=None, keys=None, latched=latched)


@dataclass(slots=True)
class Reader:
    """Looks at each token, but not again at one that refused its PIN."""

    refused: dict[str, Token] = field(default_factory=dict)

    def __call__(self, world: World) -> Hsm:
        try:
            known = names((world.root / CONFIGURATION).read_bytes())
        except FileNotFoundError:
            return Hsm(tokens={}, expected=world.settings.openbao is not None)
        with suppress(FileNotFoundError):
            self.refused |= refusals(_file(world).read_bytes())
        return Hsm(tokens={name: self.refused.get(name) or self._token(world, name) for name in known})

    def _token(self, world: World, name: str) -> Token:
        if not world.keeps:
            return _unusable(SILENT, "only the running agent logs in to it, for it remembers a refusal")
        try:
            found = token(world.ask("hsm", name).output)
        except ParseError as error:
            found = _unusable(SILENT, str(error), latched=True)  # who knows what became of the PIN
        except LegalcloudError as error:
            return _unusable(SILENT, str(error))
        else:
            if found.reason not in _REFUSALS:
                return found
            found = replace(found, latched=True)
        self.refused[name] = found
        told = {name: [one.reason, one.said] for name, one in self.refused.items()}
        durable.replace(_file(world), json.dumps(told).encode())
        return found


def _file(world: World) -> Path:
    return world.settings.paths.history.with_name(REFUSED)


METRICS: tuple[Metric[Hsm], ...] = (
    gauge(
        "legalcloud_hsm_tokens",
        "Tokens that this node is told to have; 0 where it ought to have one and nobody knows which.",
        lambda hsm: len(hsm.tokens) if hsm.tokens or hsm.expected else None,
    ),
    Metric(
        name="legalcloud_hsm_token_good",
        help="Whether the token is there, takes its PIN and shows its keys.",
        labels=("token",),
        samples=lambda hsm: (((name,), one.reason == GOOD) for name, one in hsm.tokens.items()),
    ),
    Metric(
        name="legalcloud_hsm_keys",
        help="Keys in the token; no series if they could not be looked at.",
        labels=("token",),
        samples=lambda hsm: (((name,), len(one.keys)) for name, one in hsm.tokens.items() if one.keys is not None),
    ),
    Metric(
        name="legalcloud_hsm_key_kept",
        help="Whether a key was made in its token and can never leave it.",
        labels=("token", "label"),
        samples=lambda hsm: (
            ((name, key.label), key.kept) for name, one in hsm.tokens.items() for key in one.keys or ()
        ),
    ),
)


def lines(hsm: Hsm) -> Iterator[Line]:
    if hsm.expected and not hsm.tokens:
        words = f"nobody knows which tokens this node has: /{CONFIGURATION} is not there"
        yield Line(level=Level.UNKNOWN, words=words, remedy="Run playbooks/site.yml.")
    for name, one in hsm.tokens.items():
        again = f"; then remove {_USUAL_FILE} and restart the agent" if one.latched else ""
        tool = f"`legalcloud-hsm describe {name}`{again}"
        if one.reason == SILENT:
            words = f"nobody knows how token {name} is: {one.said}"
            yield Line(level=Level.UNKNOWN, words=words, remedy=f"{tool}; docs/runbooks/hsm-lost.md.")
        elif one.reason != GOOD:
            words = f"token {name} cannot be used ({one.reason}): {one.said}"
            yield Line(level=Level.FINDING, words=words, remedy=f"{tool}; docs/runbooks/hsm-lost.md.")
        elif not one.keys:
            yield Line(level=Level.FINDING, words=f"token {name} holds no key", remedy=f"{tool}; is it the right one?")
        else:
            labels = ", ".join(key.label for key in one.keys)
            yield Line(level=Level.GOOD, words=f"token {name} is there and holds {labels}")
            for key in one.keys:
                if not key.kept:
                    words = f"key {key.label} of token {name} was not made there, or could leave it"
                    yield Line(level=Level.FINDING, words=words, remedy="Make a new key, and find out who made this.")


SUBJECT = Subject(name="hsm", every_seconds=3600, deadline_seconds=60, read=Reader(), metrics=METRICS, lines=lines)
