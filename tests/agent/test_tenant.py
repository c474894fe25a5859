"""What a firm's file may say, and every refusal with its place and its remedy."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyrage
import pytest
from tests.agent.inventory_sample import SOUND, TENANT, TODAY, Sample

from legalcloud import tenant as tenant_module
from legalcloud.inventory import load
from legalcloud.register import Text
from legalcloud.tenant import Bucket, Encryption, Language, LockMode, ObjectLock, Quota, Subscription

LAB = Path(__file__).parents[2] / "inventories" / "lab"
RECIPIENT = load(SOUND, today=TODAY).tenants[0].reveal_to


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path / "fleet")


def test_a_firm_becomes_facts() -> None:
    (firm,) = load(SOUND, today=TODAY).tenants

    assert firm.name == Text(en="Firm A", zh_hant="甲律師事務所")
    assert firm.contact.language is Language.ZH_HANT
    assert firm.quota == Quota(bytes=500 * 1024**3, objects=1_000_000)
    assert firm.buckets == (
        Bucket(
            name="firm-a-matters",
            versioning=True,
            object_lock=ObjectLock(mode=LockMode.GOVERNANCE, days=30),
            encryption=Encryption.SSE_S3,
        ),
        Bucket(name="firm-a-scratch", versioning=False, object_lock=None, encryption=None),
    )
    assert firm.subscription == Subscription(
        plan="standard", starts=date(2026, 12, 1), subsidised_until=date(2029, 11, 30)
    )


def test_a_subscription_and_its_subsidy_may_be_left_out(sample: Sample) -> None:
    sample.change(TENANT, ", subsidised_until: 2029-11-30", "")
    (subscribed,) = sample.load().tenants
    sample.change(TENANT, "subscription: {plan: standard, starts: 2026-12-01}", "")
    (unsubscribed,) = sample.load().tenants

    assert subscribed.subscription is not None
    assert subscribed.subscription.subsidised_until is None
    assert unsubscribed.subscription is None


def test_a_firm_is_withdrawn_by_a_file_without_buckets(sample: Sample) -> None:
    text = (sample.folder / TENANT).read_text()
    start, end = text.index("buckets:"), text.index("subscription:")
    sample.write(TENANT, f"{text[:start]}buckets: []\n{text[end:]}")

    assert sample.load().tenants[0].buckets == ()


@pytest.mark.parametrize(
    ("written", "parsed"), [("1MiB", 2**20), ("2 GiB", 2 * 2**30), ("3TiB", 3 * 2**40), ("4PiB", 4 * 2**50)]
)
def test_a_quota_is_bytes_in_powers_of_two(sample: Sample, written: str, parsed: int) -> None:
    assert sample.change(TENANT, "500GiB", written).load().tenants[0].quota.bytes == parsed


REFUSALS = [
    ("id: firm-a", "id: Firm-A", "id: is 'Firm-A'. Use a-z, 0-9 and inner hyphens, at most 63 characters"),
    ("id: firm-a", "id: firm-b", "id: is firm-b, but the file is firm-a.yml. Give both the same name"),
    ("zh_hant: 甲律師事務所", "zh_hant: Firm A", "name.zh_hant: is 'Firm A', without a Chinese character"),
    (
        "甲律師事務所",
        "甲律师事务所",
        "name.zh_hant: is '甲律师事务所', with Simplified 师. Write the Traditional",
    ),
    ("clerk@firm-a.example", "clerk", "contact.email: is 'clerk'. Write one e-mail address"),
    ("language: zh_hant", "language: zh", "contact.language: is 'zh'. Choose from: en, zh_hant"),
    ("500GiB", "500GB", "quota.bytes: is '500GB'. Write a whole number with its unit, as 500GiB"),
    ("500GiB", "500", "quota.bytes: is 500, not a text"),
    ("500GiB", "0GiB", "quota.bytes: is '0GiB'. Write a whole number with its unit"),
    ("500GiB", "1.5TiB", "quota.bytes: is '1.5TiB'. Write a whole number"),
    ("objects: 1000000", "objects: true", "quota.objects: is True. Write a whole number of at least 1"),
    ("objects: 1000000", "objects: 1e6", "quota.objects: is '1e6'. Write a whole number of at least 1"),
    ("objects: 1000000", "objects: -1", "quota.objects: is -1. Write a whole number of at least 1"),
    (
        "name: firm-a-matters",
        "name: Firm-a-matters",
        "buckets[0].name: is 'Firm-a-matters'. Use 3 to 63 of a-z, 0-9",
    ),
    ("name: firm-a-matters", "name: firm-a-m.x", "buckets[0].name: is 'firm-a-m.x'. Use 3 to 63"),
    ("name: firm-a-matters", "name: ab", "buckets[0].name: is 'ab'. Use 3 to 63"),
    ("name: firm-a-matters", f"name: firm-a-{'x' * 57}", "inner hyphens; a dot would break its TLS name"),
    (
        "name: firm-a-matters",
        "name: firm-a-s3alias",
        "is firm-a-s3alias, with a beginning or an end that S3 reserves",
    ),
    (
        "name: firm-a-matters",
        "name: matters",
        "buckets[0].name: is matters. Begin it with firm-a-, so that firms",
    ),
    (
        "name: firm-a-scratch",
        "name: firm-a-matters",
        "buckets[1].name: repeats bucket name firm-a-matters of",
    ),
    ("versioning: true", "versioning: 'yes'", "buckets[0].versioning: is 'yes'. Write true or false"),
    (
        "versioning: true",
        "versioning: false",
        "buckets[0].object_lock: is set on a bucket without versioning. Set",
    ),
    ("    versioning: true\n", "", "buckets[0]: lacks the key versioning"),
    ("    encryption: sse-s3\n", "", "buckets[0]: lacks the key encryption"),
    (
        "encryption: sse-s3",
        "encryption: aes",
        "buckets[0].encryption: is 'aes'. Choose from: sse-s3, sse-kms",
    ),
    (
        "mode: GOVERNANCE",
        "mode: governance",
        "object_lock.mode: is 'governance'. Choose from: GOVERNANCE, COMPLIANCE",
    ),
    ("days: 30", "days: 0", "buckets[0].object_lock.days: is 0. Write a whole number of at least 1"),
    (
        "days: 30",
        "days: 30, years: 1",
        "buckets[0].object_lock.years: is not a key that belongs here. Known keys: mode",
    ),
    (
        "starts: 2026-12-01",
        "starts: soon",
        "subscription.starts: is 'soon', not a date. Write it as YYYY-MM-DD",
    ),
    (
        "starts: 2026-12-01",
        "starts: 2026-12-01T00:00:00Z",
        "subscription.starts: is 2026-12-01 00:00:00+00:00, not",
    ),
    (
        "2029-11-30",
        "2026-11-30",
        "subscription.subsidised_until: is before the subscription starts. Correct one of",
    ),
    (
        "plan: standard",
        "plan: Gold plan",
        "subscription.plan: is 'Gold plan'. Use a-z, 0-9 and inner hyphens",
    ),
    (
        "quota:",
        "quotas:",
        "quotas: is not a key that belongs here. Known keys: id, name, contact, reveal_to, quota,",
    ),
    (RECIPIENT, "null", "reveal_to: is not an age recipient. Paste the public half, age1..., that"),
    (RECIPIENT, RECIPIENT[:-1], "reveal_to: is not an age recipient. Paste the public half"),
    (
        RECIPIENT,
        RECIPIENT.replace("age1", "age2"),
        "reveal_to: is not an age recipient. Paste the public half",
    ),
    (
        RECIPIENT,
        RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p"),
        "age recipient: its checksum is wrong. Paste",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), REFUSALS)
def test_each_fault_is_refused_with_its_key_and_a_remedy(sample: Sample, old: str, new: str, message: str) -> None:
    problems = sample.change(TENANT, old, new).refusals()

    assert any(message in problem and problem.startswith(f"{TENANT}:") for problem in problems), problems


def test_a_secret_pasted_by_mistake_is_not_shown(sample: Sample) -> None:
    secret = str(pyrage.x25519.Identity.generate())

    problems = "\n".join(sample.change(TENANT, RECIPIENT, secret).refusals())

    assert "reveal_to: is not an age recipient" in problems
    assert secret not in problems
    assert secret[:20] not in problems


def test_a_node_without_pyrage_checks_the_shape_alone(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_checksum = RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p")
    monkeypatch.setattr(tenant_module, "pyrage", None)

    assert sample.change(TENANT, RECIPIENT, wrong_checksum).load().tenants[0].reveal_to == wrong_checksum


def test_two_firms_cannot_have_one_bucket(sample: Sample) -> None:
    text = (sample.folder / TENANT).read_text()
    shared = text.replace("id: firm-a", "id: firm").replace("firm-a-matters", "firm-a-shared")
    sample.write("tenants/firm.yml", shared).change(TENANT, "firm-a-matters", "firm-a-shared")

    problems = sample.refusals()

    assert any(p.startswith("tenants/firm.yml:7: buckets[0].name: repeats bucket name firm-a-shared") for p in problems)


def test_the_labs_identity_opens_what_is_encrypted_to_the_labs_tenant() -> None:
    identity = (LAB / "lab-age-identity.txt").read_text().splitlines()[-1]
    (firm,) = load(LAB, today=TODAY).tenants

    sealed = pyrage.encrypt(b"secret key", [pyrage.x25519.Recipient.from_str(firm.reveal_to)])

    assert pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(identity)]) == b"secret key"
