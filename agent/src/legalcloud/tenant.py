"""Read one firm's file, tenants/<id>.yml: who it is, how much it may store, and its buckets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from legalcloud.register import Text
from legalcloud.schema import Cell, every

try:
    import pyrage
except ImportError:  # nodes do not have it; there the shape of a recipient must do
    pyrage = None

AGE_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
BUCKET_RESERVED = re.compile(r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|--x-s3|--table-s3)")
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
QUANTITY = re.compile(r"([1-9][0-9]{0,5}) ?([MGTP]iB)")
UNITS = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}


class Language(StrEnum):
    """The language that a firm is written to in."""

    EN = "en"
    ZH_HANT = "zh_hant"


class LockMode(StrEnum):
    """Who may shorten a retention: a privileged user (governance), or nobody (compliance)."""

    GOVERNANCE = "GOVERNANCE"
    COMPLIANCE = "COMPLIANCE"


class Encryption(StrEnum):
    """Whose key encrypts a bucket by default: the gateway's for the bucket, or a named one of the firm."""

    SSE_S3 = "sse-s3"
    SSE_KMS = "sse-kms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Where a firm is reached."""

    email: str
    language: Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The most that a firm may store."""

    bytes: int
    """User bytes, before erasure coding."""
    objects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectLock:
    """The retention that an object gets when nobody asks for another."""

    mode: LockMode
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One bucket. `versioning` and `encryption` must be written; `object_lock` may be left out."""

    name: str
    versioning: bool
    object_lock: ObjectLock | None
    encryption: Encryption | None
    """None: stored as sent. Only a fleet without a key manager has a reason for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a firm signed up to; `subsidised_until` may be left out."""

    plan: str
    starts: date
    subsidised_until: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One firm; `subscription` may be left out."""

    id: str
    """Also the name of its S3 account and of its key."""
    name: Text
    contact: Contact
    reveal_to: str
    """The age recipient that new secret keys are encrypted to."""
    quota: Quota
    buckets: tuple[Bucket, ...]
    """Empty: the firm may no longer do anything, and what it stored stays."""
    subscription: Subscription | None


def read_tenant(cell: Cell, stem: str) -> Tenant:
    """Read one file; `stem` is its name without `.yml`."""
    fields = cell.fields(("id", "name", "contact", "reveal_to", "quota", "buckets"), ("subscription",))
    tenant = Tenant(
        id=fields.take("id", Cell.identifier),
        name=fields.take("name", Cell.bilingual),
        contact=fields.take("contact", _read_contact),
        reveal_to=fields.take("reveal_to", _read_recipient),
        quota=fields.take("quota", _read_quota),
        buckets=fields.take("buckets", lambda value: every(value, _read_bucket) if value.items() else ()),
        subscription=fields.maybe("subscription", _read_subscription),
    )
    fields.whole(tenant)
    if tenant.id != stem:
        cell.at("id").note(f"is {tenant.id}, but the file is {stem}.yml", "Give both the same name")
    for index, bucket in enumerate(tenant.buckets):
        if not bucket.name.startswith(f"{tenant.id}-"):
            place = cell.at("buckets", index, "name")
            place.note(f"is {bucket.name}", f"Begin it with {tenant.id}-, so that firms cannot collide")
    return tenant


def _read_contact(cell: Cell) -> Contact:
    fields = cell.fields(("email", "language"))
    return fields.whole(
        Contact(
            email=fields.take("email", lambda value: value.matching(EMAIL, "Write one e-mail address")),
            language=fields.take("language", lambda value: Language(value.choice(Language))),
        )
    )


def _read_recipient(cell: Cell) -> str:
    """Check a recipient, and never quote a wrong one: it may be the secret half, pasted by mistake."""
    recipient = cell.plain
    remedy = "Paste the public half, age1..., that `age-keygen -y` prints"
    if not isinstance(recipient, str) or not AGE_RECIPIENT.fullmatch(recipient):
        cell.refuse("is not an age recipient", remedy)
    if pyrage is not None:
        try:
            pyrage.x25519.Recipient.from_str(recipient)
        except pyrage.RecipientError:
            cell.refuse("is not an age recipient: its checksum is wrong", remedy)
    return recipient


def _read_quota(cell: Cell) -> Quota:
    fields = cell.fields(("bytes", "objects"))
    return fields.whole(Quota(bytes=fields.take("bytes", _read_quantity), objects=fields.take("objects", Cell.count)))


def _read_quantity(cell: Cell) -> int:
    text = cell.matching(QUANTITY, "Write a whole number with its unit, as 500GiB (MiB, GiB, TiB or PiB)")
    return int(text[:-3]) * UNITS[text[-3:]]


def _read_bucket(cell: Cell) -> Bucket:
    fields = cell.fields(("name", "versioning", "encryption"), ("object_lock",))
    bucket = Bucket(
        name=fields.take("name", _read_bucket_name),
        versioning=fields.take("versioning", Cell.boolean),
        object_lock=fields.maybe("object_lock", _read_lock),
        encryption=fields.maybe("encryption", lambda value: Encryption(value.choice(Encryption))),
    )
    fields.whole(bucket)
    if bucket.object_lock and not bucket.versioning:
        cell.at("object_lock").refuse("is set on a bucket without versioning", "Set versioning: true as well")
    return bucket


def _read_bucket_name(cell: Cell) -> str:
    name = cell.matching(BUCKET, "Use 3 to 63 of a-z, 0-9 and inner hyphens; a dot would break its TLS name")
    if BUCKET_RESERVED.fullmatch(name):
        cell.refuse(f"is {name}, with a beginning or an end that S3 reserves", "Choose another name")
    return name


def _read_lock(cell: Cell) -> ObjectLock:
    fields = cell.fields(("mode", "days"))
    return fields.whole(
        ObjectLock(
            mode=fields.take("mode", lambda value: LockMode(value.choice(LockMode))),
            days=fields.take("days", Cell.count),
        )
    )


def _read_subscription(cell: Cell) -> Subscription:
    fields = cell.fields(("plan", "starts"), ("subsidised_until",))
    subscription = Subscription(
        plan=fields.take("plan", Cell.identifier),
        starts=fields.take("starts", Cell.day),
        subsidised_until=fields.maybe("subsidised_until", Cell.day),
    )
    fields.whole(subscription)
    if subscription.subsidised_until and subscription.subsidised_until < subscription.starts:
        cell.at("subsidised_until").refuse("is before the subscription starts", "Correct one of the dates")
    return subscription
