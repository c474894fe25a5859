"""A record as a person reads it: a line each, what matters first, in English and Traditional Chinese."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from legalcloud import canonical
from legalcloud.errors import ParseError
from legalcloud.records.record import Record

TITLES: Mapping[str, tuple[str, str]] = {
    "erasure": ("Certificate of erasure", "資料銷毀證明書"),
    "key-ceremony": ("Record of a key ceremony", "密鑰儀式紀錄"),
    "recovery-rotation": ("Record of new recovery keys", "更換復原密鑰紀錄"),
    "restore-drill": ("Record of a restore drill", "還原演練紀錄"),
    "unseal-key-destroyed": ("Record of a destroyed unseal key", "銷毀解封密鑰紀錄"),
    "unseal-key-rotation": ("Record of a new unseal key", "更換解封密鑰紀錄"),
}
"""By kind; another kind is shown by its own word."""


def lines(record: Record) -> Iterator[str]:
    """Say everything that the record says."""
    english, chinese = TITLES.get(record.kind, (record.kind, ""))
    yield f"{english} {chinese}".strip()
    yield f"{record.subject}, {record.issued_at:%Y-%m-%d %H:%M:%S} UTC"
    if record.kind == "erasure":
        yield ""
        yield from summary(record.body)
    yield ""
    yield from _tree(record.body, "")


def summary(body: Mapping[str, canonical.Json]) -> Iterator[str]:
    """Say in both languages what a certificate of erasure means. Raises: ParseError if it is none."""
    match body:
        case {
            "final": bool(final),
            "shredded_at": str(when),
            "not_final_before": str() | None as until,
            "destroyed": {"keys": [*keys], "data": {"versions": int(versions), "bytes": int(size)}},
            "remains": [*remains],
        }:
            pass
        case _:
            raise ParseError("the certificate of erasure lacks what it must say", hint="Ask its author for another.")
    yield (
        f"On {when} {len(keys)} encryption keys were destroyed; {versions} object versions ({size} bytes) can no "
        "longer be read by this store."
    )
    yield f"於 {when} 已銷毀 {len(keys)} 條加密密鑰；共 {versions} 個物件版本（{size} 位元組）本系統已無法讀取。"
    if final:
        yield "FINAL: no backup is left from which a key could be brought back."
        yield "最終：已無任何備份可以恢復有關密鑰。"
    else:
        yield f"NOT FINAL before {until}: until then backups exist from which a key could be brought back."
        yield f"尚未最終，最早於 {until} 方可確認：在此之前仍有備份可以恢復有關密鑰。"
    yield f"{len(remains)} kinds of data remain; they are listed under `remains`, with the reason."
    yield f"有 {len(remains)} 類資料仍然存在，其名目及原因列於 `remains`。"


def _tree(value: canonical.Json, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _entry(f"{indent}{key}:", inner, indent)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _entry(f"{indent}-", inner, indent)


def _entry(head: str, value: canonical.Json, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping | list):
        yield head if value else f"{head} none"
        yield from _tree(value, f"{indent}  ")
    else:
        yield f"{head} {_word(value)}"


def _word(value: canonical.Json) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case str():
            return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in value)
    return str(value)
