"""What one object version is, by the answers that Ceph 20.2 gives."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible.module_utils.rgw_versions import LeftOverError, delete_all, look, readable

from legalcloud.erasure import Encryption

ITEM = {"Key": "a", "VersionId": "v1", "Size": 3}
UNTIL = datetime(2026, 12, 31, tzinfo=UTC)


class RefusalError(Exception):
    """A ClientError of boto3."""


def code(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, RefusalError) else ""


class Store:
    """A gateway that answers from a table; a text is a refusal's code."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- boto3's methods
        def call(**_: object) -> object:
            self.called.append(name)
            answer = self.answers[name]
            if isinstance(answer, str):
                raise RefusalError(answer)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def found(**answers: object) -> Any:  # noqa: ANN401 -- a Version
    return look(Store(**answers), "b", ITEM, key_name="firm-a", code=code)


@pytest.mark.parametrize(
    ("head", "encryption"),
    [
        ({"ServerSideEncryption": "AES256"}, Encryption.TENANT),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "firm-a"}, Encryption.TENANT),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "firm-b"}, Encryption.OTHER),
        ({"ServerSideEncryption": "something new"}, Encryption.UNKNOWN),
        ({"SSECustomerAlgorithm": "AES256"}, Encryption.CUSTOMER),
        ({}, Encryption.NONE),
    ],
)
def test_a_head_tells_whose_key_it_is(head: dict[str, str], encryption: Encryption) -> None:
    assert found(head_object=head).encryption is encryption


def test_a_head_tells_retention_and_hold() -> None:
    one = found(head_object={"ObjectLockLegalHoldStatus": "ON", "ObjectLockRetainUntilDate": UNTIL})

    assert (one.legal_hold, one.retain_until) == (True, UNTIL)


def test_a_version_that_does_not_open_is_asked_for_its_lock_by_itself() -> None:
    """HEAD of an object whose key the client keeps, or the key manager has no more, answers 400."""
    one = found(
        head_object="400",
        get_object_retention={"Retention": {"RetainUntilDate": UNTIL}},
        get_object_legal_hold={"LegalHold": {"Status": "ON"}},
        get_object="InvalidRequest",
    )

    assert (one.legal_hold, one.retain_until, one.encryption) == (True, UNTIL, Encryption.CUSTOMER)


def test_a_version_that_does_not_open_and_has_no_lock_is_of_unknown_encryption() -> None:
    absent = "NoSuchObjectLockConfiguration"
    one = found(
        head_object="400",
        get_object_retention=absent,
        get_object_legal_hold=absent,
        get_object="InvalidArgument",
    )

    assert (one.legal_hold, one.retain_until, one.encryption) == (False, None, Encryption.UNKNOWN)


def test_a_lock_that_nobody_could_ask_for_stops_the_look() -> None:
    """AccessDenied is not "no hold"."""
    with pytest.raises(RefusalError, match="AccessDenied"):
        found(head_object="400", get_object_retention="AccessDenied")


def test_an_error_that_is_no_refusal_stops_the_look() -> None:
    with pytest.raises(TimeoutError):
        found(head_object=TimeoutError())


def test_only_a_refusal_proves_that_nothing_can_be_read() -> None:
    sample = {"bucket": "b", "key": "a", "version_id": "v1"}

    assert readable(Store(get_object="InvalidArgument"), sample, code) == "InvalidArgument"
    with pytest.raises(ConnectionError):
        readable(Store(get_object=ConnectionError()), sample, code)


EVERYTHING = {"Versions": [ITEM], "DeleteMarkers": [{"Key": "a", "VersionId": "v2"}]}
UPLOADS = {"Uploads": [{"Key": "u", "UploadId": "1"}]}


class Bucket(Store):
    """A bucket with one page of each listing: what is there at first, and what after the deletion."""

    def __init__(self, *, refused: list[dict[str, str]], versions: dict[str, Any], uploads: dict[str, Any]) -> None:
        super().__init__(delete_objects={"Errors": refused} if refused else {}, abort_multipart_upload={})
        self.pages = {
            "list_object_versions": deque([EVERYTHING, versions]),
            "list_multipart_uploads": deque([UPLOADS, uploads]),
        }

    def get_paginator(self, name: str) -> Any:  # noqa: ANN401 -- boto3's
        bucket = self

        class Pages:
            def paginate(self, **_: object) -> list[dict[str, Any]]:
                return [bucket.pages[name].popleft()]

        return Pages()


def test_deletion_takes_versions_markers_and_unfinished_uploads() -> None:
    bucket = Bucket(refused=[], versions={}, uploads={})

    assert delete_all(bucket, "b") == 1
    assert bucket.called == ["delete_objects", "abort_multipart_upload"]


@pytest.mark.parametrize(
    ("refused", "versions", "uploads", "says"),
    [
        ([{"Key": "secret", "Code": "AccessDenied"}], {}, {}, "1 times AccessDenied"),
        ([], EVERYTHING, {}, "2 versions, delete markers and uploads are left"),
        ([], {}, UPLOADS, "1 versions, delete markers and uploads are left"),
    ],
    ids=["refused", "versions", "uploads"],
)
def test_what_is_left_is_not_deleted_and_is_not_named(
    refused: list[dict[str, str]], versions: dict[str, Any], uploads: dict[str, Any], says: str
) -> None:
    with pytest.raises(LeftOverError, match=says) as error:
        delete_all(Bucket(refused=refused, versions=versions, uploads=uploads), "b")

    assert "secret" not in str(error.value)
