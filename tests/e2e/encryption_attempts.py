"""How a firm could try to store in the clear, or with a key that is not its own; tried against Ceph 20.2.4."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest

NAME = "dodge"
"""The object that every attempt would store."""
SSE = "x-amz-server-side-encryption"
KMS_KEY = f"{SSE}-aws-kms-key-id"
ALIASES = ("x-goog-", "x-dho-", "x-rgw-", "x-object-", "x-container-", "x-account-")
"""The gateway takes a header that begins so for one that begins with x-amz-."""
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
BOUNDARY = "boundary-of-a-form"


class RefusedError(Exception):
    """The gateway, or HAProxy before it, said no to a request that boto3 cannot make."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"HTTP {status} {code}")
        self.status = status
        self.code = code
        """Of S3, such as AccessDenied; empty if the answer has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """One firm at the gateway, and what it aims at."""

    session: boto3.Session
    s3: Any
    endpoint_url: str
    ca_file: str
    bucket: str
    source: str
    """Name of an object in the same bucket."""
    foreign_key: str
    name: str = NAME
    """Of the object that a request would store."""

    @property
    def foreign(self) -> dict[str, str]:
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.foreign_key}

    @property
    def copy(self) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": self.name, "CopySource": {"Bucket": self.bucket, "Key": self.source}}

    def send(
        self,
        headers: Mapping[str, str] | None = None,
        query: str = "",
        *,
        body: bytes = b"clear",
        auth: type[SigV4Auth | HmacV1QueryAuth] = S3SigV4Auth,
    ) -> None:
        """PUT the object with headers and parameters as they are, signed. Raises: RefusedError."""
        url = f"{self.endpoint_url}/{self.bucket}/{self.name}" + (f"?{query}" if query else "")
        # Version 2 signs the type, and urllib would add one after the signature.
        named = {"Content-Type": "application/octet-stream", **(headers or {})}
        request = AWSRequest(method="PUT", url=url, headers=named, data=body if auth is S3SigV4Auth else b"")
        credentials = self.session.get_credentials()
        assert credentials is not None
        if issubclass(auth, SigV4Auth):
            auth(credentials, "s3", "default").add_auth(request)
        else:
            auth(credentials, expires=60).add_auth(request)
        signed = request.prepare()
        # urllib counts the length itself; the date is the one that version 2 has in the URL.
        sent = {name: value for name, value in signed.headers.items() if name not in {"Content-Length", "Date"}}
        self.call(signed.url, body, sent)

    def post(self, fields: Mapping[str, str]) -> None:
        """Send the object as a browser's form does. Raises: RefusedError."""
        form = self.s3.generate_presigned_post(
            self.bucket, self.name, Fields=dict(fields), Conditions=[{name: value} for name, value in fields.items()]
        )
        parts = "".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in form["fields"].items()
        )
        file = 'Content-Disposition: form-data; name="file"; filename="x"'
        body = f"{parts}--{BOUNDARY}\r\n{file}\r\n\r\nclear\r\n--{BOUNDARY}--\r\n"
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        self.call(form["url"], body.encode(), kind, method="POST")

    def call(self, url: str, body: bytes, headers: Mapping[str, Any], *, method: str = "PUT") -> None:
        plain = {name: value.decode() if isinstance(value, bytes) else value for name, value in headers.items()}
        request = Request(url, data=body, headers=plain, method=method)  # noqa: S310 -- https, of the lab
        try:
            with urlopen(request, timeout=60, context=ssl.create_default_context(cafile=self.ca_file)):  # noqa: S310 -- as above
                pass
        except HTTPError as error:
            with error:
                found = re.search(rb"<Code>(\w+)</Code>", error.read())
            raise RefusedError(error.code, found[1].decode() if found else "") from None

    def upload(self, **arguments: str) -> None:
        self.s3.create_multipart_upload(Bucket=self.bucket, Key=self.name, **arguments)

    def put(self, **arguments: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=self.name, Body=b"clear", **arguments)


def _source(firm: Firm) -> dict[str, str]:
    return {"x-amz-copy-source": f"/{firm.bucket}/{firm.source}", SSE: "AES256"}


GOOD: dict[str, Callable[[Firm], Any]] = {
    "a header": lambda firm: firm.send({SSE: "AES256"}),
    "a parameter": lambda firm: firm.send(query=f"{SSE}=AES256"),
    "a parameter in a presigned URL": lambda firm: firm.send(query=f"{SSE}=AES256", auth=S3SigV4QueryAuth),
    "a parameter in a presigned URL of version 2": lambda firm: firm.send(query=f"{SSE}=AES256", auth=HmacV1QueryAuth),
    "a field of a form": lambda firm: firm.post({SSE: "AES256"}),
    "a copy": lambda firm: firm.send(_source(firm), body=b""),
}
"""Each way of asking that the attempts misuse, with what a firm may ask for: no signature is what is refused."""
ATTEMPTS: dict[str, Callable[[Firm], Any]] = {
    "an empty header": lambda firm: firm.send({SSE: ""}),
    "a blank header": lambda firm: firm.send({SSE: " "}),
    **{f"an empty {alias} header": partial(Firm.send, headers={f"{alias}{SSE[6:]}": ""}) for alias in ALIASES},
    "an empty header beside a good one": lambda firm: firm.send({SSE: "AES256", f"x-goog-{SSE[6:]}": ""}),
    "an empty parameter": lambda firm: firm.send(query=f"{SSE}="),
    "an empty parameter over a good header": lambda firm: firm.send({SSE: "AES256"}, f"{SSE}="),
    "an empty parameter in a presigned URL": lambda firm: firm.send(query=f"{SSE}=", auth=S3SigV4QueryAuth),
    "an empty parameter in a presigned URL of version 2": lambda firm: firm.send(query=f"{SSE}=", auth=HmacV1QueryAuth),
    "an empty parameter in capitals": lambda firm: firm.send(
        query="X-Amz-Server-Side-Encryption=", auth=S3SigV4QueryAuth
    ),
    "an empty field of a form": lambda firm: firm.post({SSE: ""}),
    "an append": lambda firm: firm.send(query="append&position=0"),
    "an empty append": lambda firm: firm.send(query="append=&position=0"),
    "another firm's key": lambda firm: firm.put(**firm.foreign),
    "another firm's key for parts": lambda firm: firm.upload(**firm.foreign),
    "another firm's key as parameters": lambda firm: firm.send(
        query=f"{SSE}=aws%3Akms&{KMS_KEY}={firm.foreign_key}", auth=S3SigV4QueryAuth
    ),
    "another firm's key in a form": lambda firm: firm.post({SSE: "aws:kms", KMS_KEY: firm.foreign_key}),
    "another firm's key for a copy": lambda firm: firm.s3.copy_object(**firm.copy, **firm.foreign),
    "a key of its own": lambda firm: firm.put(**CUSTOMER),
    "a key of its own for parts": lambda firm: firm.upload(**CUSTOMER),
    "a key of its own for a copy": lambda firm: firm.s3.copy_object(**firm.copy, **CUSTOMER),
    "a copy that says nothing": lambda firm: firm.s3.copy_object(**firm.copy),
    "a copy with an empty parameter": lambda firm: firm.send(_source(firm), f"{SSE}=", body=b""),
    "a copy with a key of its own as parameter": lambda firm: firm.send(
        _source(firm), f"{SSE}-customer-algorithm=AES256", body=b""
    ),
    "a copy with another firm's key as parameters": lambda firm: firm.send(
        _source(firm), f"{SSE}=aws%3Akms&{KMS_KEY}={firm.foreign_key}", body=b""
    ),
}
