"""What may be shredded, what a shredding destroys and leaves, and when nothing can bring it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from legalcloud.canonical import Json

SHOWN = 20
"""Versions that a refusal names; the rest are counted."""
SAMPLES = 3
"""Versions of each kind of encryption in each bucket that are read before and after."""
CLOCKS_DIFFER = timedelta(minutes=5)
"""A snapshot that calls itself this much later than the shredding may still be from before it."""
TIME = "%Y-%m-%dT%H:%M:%SZ"


class Encryption(StrEnum):
    """Whose key an object version was encrypted with."""

    TENANT = "tenant key"
    """SSE-S3, or SSE-KMS with the tenant's own key: goes with the shredding."""
    OTHER = "another key"
    """SSE-KMS with a key that is not the tenant's."""
    CUSTOMER = "customer key"
    """SSE-C: the store never had the key."""
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of one object, as the account's root sees it."""

    bucket: str
    key: str
    version_id: str
    bytes: int
    encryption: Encryption
    legal_hold: bool
    retain_until: datetime | None
    """UTC."""


@dataclass(slots=True, kw_only=True)
class Holdings:
    """What an account holds; made by one pass over all of its versions."""

    now: datetime
    held: list[tuple[Version, str]] = field(default_factory=list)
    """The first ones, with the reason."""
    held_count: int = 0
    counts: Counter[tuple[str, Encryption]] = field(default_factory=Counter)
    bytes: Counter[tuple[str, Encryption]] = field(default_factory=Counter)
    samples: list[Version] = field(default_factory=list)

    def add(self, version: Version) -> None:
        kind = (version.bucket, version.encryption)
        if reason := hold(version, self.now):
            self.held_count += 1
            if len(self.held) < SHOWN:
                self.held.append((version, reason))
        if version.encryption is Encryption.TENANT and self.counts[kind] < SAMPLES:
            self.samples.append(version)
        self.counts[kind] += 1
        self.bytes[kind] += version.bytes

    def totals(self) -> list[dict[str, Json]]:
        """Return versions and bytes by bucket and encryption, as the certificate has them."""
        return [
            {"bucket": bucket, "encryption": str(kind), "versions": count, "bytes": self.bytes[bucket, kind]}
            for (bucket, kind), count in sorted(self.counts.items())
        ]

    def refusal(self) -> str:
        """Name what must not be destroyed; empty if nothing stands against it."""
        if not self.held_count:
            return ""
        named = [f"{one.bucket}/{one.key} version {one.version_id}: {reason}" for one, reason in self.held]
        more = self.held_count - len(named)
        tail = [f"and {more} more"] if more else []
        return "\n".join([f"{self.held_count} versions must be kept, so nothing was destroyed:", *named, *tail])


def hold(version: Version, now: datetime) -> str:
    """Say what keeps a version from being destroyed; empty if nothing does."""
    reasons = ["legal hold"] if version.legal_hold else []
    if version.retain_until is not None and version.retain_until > now:
        reasons.append(f"retention until {version.retain_until.strftime(TIME)}")
    return " and ".join(reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """Something outside the live key manager that may hold a destroyed key."""

    node: str
    name: str
    taken_at: datetime | None
    """None if it cannot be told."""
    kek_label: str | None
    """The HSM's key that opens it; None if it cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """From when to when the destroyed keys were there."""

    made_at: datetime
    """Of the oldest one; a snapshot from before it holds none."""
    shredded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finality:
    """Whether a destroyed key could come back."""

    revivers: tuple[Backup, ...]
    not_final_before: datetime | None
    """None if it is final."""

    @property
    def final(self) -> bool:
        return self.not_final_before is None


def finality(
    backups: Iterable[Backup], *, life: Life, now: datetime, keep_days: int, keks: Collection[str]
) -> Finality:
    """Judge by what is there: a backup from the keys' life, whose key the HSMs still have, can bring them back.

    What cannot be dated or opened by us counts as one that can.
    """

    def revives(one: Backup) -> bool:
        begin, end = life.made_at - CLOCKS_DIFFER, life.shredded_at + CLOCKS_DIFFER
        may_hold = one.taken_at is None or begin <= one.taken_at <= end
        return may_hold and (one.kek_label is None or one.kek_label in keks)

    revivers = tuple(one for one in backups if revives(one))
    if not revivers:
        return Finality(revivers=(), not_final_before=None)
    kept = timedelta(days=keep_days)
    ends = [(one.taken_at or life.shredded_at) + kept for one in revivers]
    return Finality(revivers=revivers, not_final_before=max(*ends, now + timedelta(seconds=1)))


REMAINS: Mapping[str, tuple[str, str]] = {
    "ciphertext": (
        "The encrypted objects stay on the drives until they are deleted; without their key they are noise.",
        "加密物件仍存於硬碟，直至刪除為止；沒有密鑰則無法讀取。",
    ),
    "names": (
        "Names of buckets and objects, sizes and times stand in the bucket indexes, which this key does not encrypt.",
        "儲存桶及物件的名稱、大小及時間仍載於索引，並非以此密鑰加密。",
    ),
    "operations log": (
        "The log of who read what is kept for its own period, by law and by contract.",
        "存取紀錄按法例及合約規定另行保存。",
    ),
    "key manager's storage": (
        "Freed pages and the raft log of the key manager may hold the key for a while, encrypted by the barrier, "
        "whose key only the HSM opens.",
        "密鑰管理系統已釋放的儲存頁及日誌可能暫時存有經加密的密鑰，只有硬件保安模組可以解開。",
    ),
    "copies outside": (
        "Copies that the firm or others made, the operator's own copies of the key manager's snapshots outside its "
        "servers, and copies of HSM keys in a vendor's own backups, are not seen here.",
        "律師行或他人自行複製的資料、營運者另存於伺服器以外的密鑰管理系統快照，以及硬件保安模組供應商備份內的密鑰，"
        "本系統無從得知。",
    ),
}
UNSHREDDED: Mapping[Encryption, tuple[str, str]] = {
    Encryption.NONE: (
        "These versions were stored without encryption: destroying keys does nothing to them.",
        "此等版本儲存時未經加密，銷毀密鑰對其並無影響。",
    ),
    Encryption.CUSTOMER: (
        "These were encrypted with keys that the firm kept (SSE-C): whoever has such a key can still read them.",
        "此等版本以律師行自存的密鑰加密；持有該密鑰者仍可讀取。",
    ),
    Encryption.OTHER: (
        "These were encrypted with a key that is not this firm's, and that was not destroyed.",
        "此等版本以不屬於該律師行的密鑰加密，該密鑰並未銷毀。",
    ),
    Encryption.UNKNOWN: (
        "The store could not say how these are encrypted: they count as readable.",
        "無法確定此等版本如何加密，故視作仍可讀取。",
    ),
}


def remains(totals: Sequence[Mapping[str, Json]], *, objects_deleted: bool) -> list[dict[str, Json]]:
    """List what a shredding does not destroy, and why."""
    found: list[dict[str, Json]] = []
    for kind, (english, chinese) in UNSHREDDED.items():
        rows = [row for row in totals if row["encryption"] == str(kind)]
        if rows and not objects_deleted:
            versions = sum(int(str(row["versions"])) for row in rows)
            size = sum(int(str(row["bytes"])) for row in rows)
            found.append(
                {
                    "what": f"objects: {kind}",
                    "versions": versions,
                    "bytes": size,
                    "why": {"en": english, "zh_hant": chinese},
                }
            )
    for what, (english, chinese) in REMAINS.items():
        if not (objects_deleted and what == "ciphertext"):
            found.append({"what": what, "why": {"en": english, "zh_hant": chinese}})
    return found


def destroyed(totals: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """Return what became unreadable: everything under the tenant's own keys."""
    rows = [row for row in totals if row["encryption"] == str(Encryption.TENANT)]
    return {
        "versions": sum(int(str(row["versions"])) for row in rows),
        "bytes": sum(int(str(row["bytes"])) for row in rows),
        "buckets": [{key: value for key, value in row.items() if key != "encryption"} for row in rows],
    }


def verdict(judged: Finality) -> dict[str, Json]:
    """Return the part of a certificate that says whether it is final."""
    until = judged.not_final_before
    return {
        "final": judged.final,
        "not_final_before": until.strftime(TIME) if until else None,
        "revivable_by": [
            {
                "node": one.node,
                "name": one.name,
                "taken_at": one.taken_at.strftime(TIME) if one.taken_at else None,
                "kek_label": one.kek_label,
            }
            for one in judged.revivers
        ],
    }
