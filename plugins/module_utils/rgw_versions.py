"""Every object version of an account, as its root sees it: size, encryption, and what keeps it from being destroyed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from typing import Any

from legalcloud.erasure import Encryption, Version

NO_LOCK = {"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest"}
"""What Ceph 20.2 answers about retention or a hold that there is none of."""
UNREADABLE = {"InvalidArgument", "NoSuchKey", "NoSuchVersion"}
"""What it answers to a GET when the key or the object is gone. A key manager that is away gives 500: no proof."""
CUSTOMER_KEY_MISSING = "InvalidRequest"
"""What it answers to a GET without the key that the client keeps."""

Code = Callable[[Exception], str]


class LeftOverError(Exception):
    """Not everything was deleted."""


def listed(s3: Any, bucket: str) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 -- boto3
    """List all versions of a bucket that have data; delete markers have none."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        yield from page.get("Versions", [])


def look(s3: Any, bucket: str, item: Mapping[str, Any], *, key_name: str, code: Code) -> Version:  # noqa: ANN401 -- boto3
    """Ask about one version; a HEAD says it all, unless the object cannot be opened."""
    where = {"Bucket": bucket, "Key": item["Key"], "VersionId": item["VersionId"]}
    try:
        head = s3.head_object(**where)
        encryption = encryption_of(head, key_name)
    except Exception as error:
        if not code(error):
            raise
        head, encryption = _lock(s3, where, code), _unopened(s3, where, code)
    until = head.get("ObjectLockRetainUntilDate")
    return Version(
        bucket=bucket,
        key=item["Key"],
        version_id=item["VersionId"],
        bytes=item["Size"],
        encryption=encryption,
        legal_hold=head.get("ObjectLockLegalHoldStatus") == "ON",
        retain_until=until.astimezone(UTC) if until else None,
    )


def encryption_of(head: Mapping[str, Any], key_name: str) -> Encryption:
    match head.get("ServerSideEncryption"):
        case "AES256":
            return Encryption.TENANT
        case "aws:kms":
            return Encryption.TENANT if head.get("SSEKMSKeyId") == key_name else Encryption.OTHER
        case None:
            return Encryption.CUSTOMER if head.get("SSECustomerAlgorithm") else Encryption.NONE
    return Encryption.UNKNOWN


def _lock(s3: Any, where: Mapping[str, str], code: Code) -> dict[str, Any]:  # noqa: ANN401 -- boto3
    """Ask for retention and hold by themselves, which needs no key."""
    found: dict[str, Any] = {}
    try:
        found["ObjectLockRetainUntilDate"] = s3.get_object_retention(**where)["Retention"].get("RetainUntilDate")
    except Exception as error:
        if code(error) not in NO_LOCK:
            raise
    try:
        found["ObjectLockLegalHoldStatus"] = s3.get_object_legal_hold(**where)["LegalHold"].get("Status")
    except Exception as error:
        if code(error) not in NO_LOCK:
            raise
    return found


def _unopened(s3: Any, where: Mapping[str, str], code: Code) -> Encryption:  # noqa: ANN401 -- boto3
    """Tell a key that the client keeps from one that cannot be had now: only a GET says why."""
    try:
        s3.get_object(**where, Range="bytes=0-0")
    except Exception as error:
        if not code(error):
            raise
        return Encryption.CUSTOMER if code(error) == CUSTOMER_KEY_MISSING else Encryption.UNKNOWN
    return Encryption.UNKNOWN


def readable(s3: Any, sample: Mapping[str, str], code: Code) -> str:  # noqa: ANN401 -- boto3
    """Return "" if the first byte of a version can be read, or the code of the refusal."""
    try:
        s3.get_object(Bucket=sample["bucket"], Key=sample["key"], VersionId=sample["version_id"])["Body"].read(1)
    except Exception as error:
        if not code(error):
            raise
        return code(error)
    return ""


def delete_all(s3: Any, bucket: str) -> int:  # noqa: ANN401 -- boto3
    """Delete every version, delete marker and unfinished upload; return how many versions.

    Raises: LeftOverError if any is left. It names none: names of objects may be privileged.
    """
    count, refusals = 0, Counter[str]()
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        gone = _everything(page)
        if gone:
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": gone, "Quiet": True})
            refusals.update(one.get("Code", "no code") for one in answer.get("Errors", []))
        count += len(page.get("Versions", []))
    for upload in uploads(s3, bucket):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    left = sum(len(_everything(page)) for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket))
    left += len(uploads(s3, bucket))
    if refusals or left:
        said = ", ".join(f"{number} times {code}" for code, number in sorted(refusals.items())) or "nothing"
        msg = (
            f"bucket {bucket}: {left} versions, delete markers and uploads are left; the gateway refused {said}. "
            "Look whether they are under retention or a hold, and run this again."
        )
        raise LeftOverError(msg)
    return count


def _everything(page: Mapping[str, Any]) -> list[dict[str, str]]:
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]


def uploads(s3: Any, bucket: str) -> list[Mapping[str, Any]]:  # noqa: ANN401 -- boto3
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
    return [upload for page in pages for upload in page.get("Uploads", [])]
