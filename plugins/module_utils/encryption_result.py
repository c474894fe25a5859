"""Judges what the encryption watch has written, for playbooks/verify.yml."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

FIXES = (
    "A bucket: run playbooks/tenants.yml, which sets its default encryption; one that no file names has to go. "
    "An object that is older than its bucket's encryption: copy it onto itself with the header "
    "x-amz-server-side-encryption: AES256, and delete the old version where there are versions."
)


def faults(text: str | None, *, path: str, now: datetime, max_age: timedelta) -> tuple[str, ...]:
    """Name every reason why the store cannot be said to be encrypted. Names of objects stay in the file."""
    if text is None:
        return (f"unknown: {path} is not there, so no pass is whole yet. Look at journalctl --unit=encryption-watch.",)
    try:
        found = json.loads(text)
        finished = datetime.strptime(found["finished"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        buckets, objects = list(found["clear_buckets"]), int(found["clear_objects"])
        unseen = int(found["unseen_objects"])
    except (ValueError, KeyError, TypeError) as error:
        return (f"unknown: {path} cannot be read ({error!r}). Delete it; the next pass writes another.",)
    seen = []
    if now - finished > max_age:
        hours = int((now - finished).total_seconds() // 3600)
        seen.append(
            f"unknown: the last whole pass ended {hours} hours ago. Look at journalctl --unit=encryption-watch."
        )
    if unseen:
        seen.append(
            f"unknown: {unseen} objects are listed and cannot be found. Look at `ceph health detail`; if that is good, "
            "ask for the support of Ceph."
        )
    if buckets:
        seen.append(f"{len(buckets)} buckets have no default encryption: {', '.join(buckets)}.")
    if objects:
        seen.append(f"{objects} objects are stored in the clear; the file names some.")
    return (*seen, FIXES) if buckets or objects else tuple(seen)
