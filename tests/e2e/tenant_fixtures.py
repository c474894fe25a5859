"""Fixtures of the tests on tenants; a test module asks for them with `pytest_plugins`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pyrage
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.e2e.nodes import Lab
from tests.e2e.tenant_attempts import ROLE, TOPIC, Attack, policy
from tests.e2e.tenant_lab import (
    BODY,
    FIRM,
    KEY,
    LOCKED,
    PLAIN,
    RIVAL,
    RIVAL_BUCKET,
    Clients,
    Operator,
    apply,
    root_session,
    with_rival,
)  # fmt: skip

from legalcloud.reveal import open_revealed


@pytest.fixture(scope="module")
def client(endpoint_url: str, ca_file: Path) -> Clients:
    def make(session: boto3.Session, service: str) -> Any:  # noqa: ANN401 -- boto3
        options = Config(retries={"max_attempts": 3}, connect_timeout=10, read_timeout=60)
        return session.client(
            service,  # type: ignore[call-overload]  # the stubs want a literal
            endpoint_url=endpoint_url,
            verify=str(ca_file),
            region_name="default",
            config=options,
        )

    return make


@pytest.fixture(scope="module")
def rival(
    lab: Lab, inventory_folder: Path, tmp_path_factory: pytest.TempPathFactory, client: Clients
) -> Iterator[boto3.Session]:
    """Onboard a second firm with a file of its own, and take it away again."""
    revealed = tmp_path_factory.mktemp("revealed")
    identity = pyrage.x25519.Identity.generate()
    folder = with_rival(inventory_folder, tmp_path_factory.mktemp("rival"), identity.to_public())
    apply(folder, "-e", f"tenants_reveal_dir={revealed}", "-e", f"tenants_rotate={RIVAL}")
    (path,) = revealed.glob(f"{RIVAL}.*.age")
    key = open_revealed(path, identity=str(identity))
    session = boto3.Session(str(key["access_key_id"]), str(key["secret_access_key"]), region_name="default")
    client(session, "s3").put_object(Bucket=RIVAL_BUCKET, Key=KEY, Body=BODY)
    yield session
    root = root_session(lab, RIVAL)
    s3, iam = client(root, "s3"), client(root, "iam")
    for bucket in s3.list_buckets()["Buckets"]:
        for item in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            s3.delete_object(Bucket=bucket["Name"], Key=item["Key"])
        s3.delete_bucket(Bucket=bucket["Name"])
    iam.delete_user_policy(UserName=RIVAL, PolicyName="data-plane")
    for item in iam.list_access_keys(UserName=RIVAL)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=RIVAL, AccessKeyId=item["AccessKeyId"])
    iam.delete_user(UserName=RIVAL)
    lab.admin().text("radosgw-admin", "user", "rm", "--uid", f"{RIVAL}.root")
    lab.admin().text("radosgw-admin", "account", "rm", "--account-id", str(key["account_id"]))


@pytest.fixture(scope="module")
def attack(
    tenant_session: Callable[[str], boto3.Session], rival: boto3.Session, client: Clients, operator: Operator
) -> Attack:
    session = tenant_session(FIRM)
    s3 = client(session, "s3")
    s3.put_object(Bucket=PLAIN, Key=KEY, Body=BODY)
    version = s3.put_object(Bucket=LOCKED, Key=KEY, Body=BODY)["VersionId"]
    return Attack(
        s3=s3,
        iam=client(session, "iam"),
        sts=client(session, "sts"),
        sns=client(session, "sns"),
        firm=FIRM,
        account=operator.account,
        topic=operator.topic,
        locked=LOCKED,
        plain=PLAIN,
        key=KEY,
        version=version,
        rival=RIVAL_BUCKET,
    )


@pytest.fixture(scope="module")
def operator(lab: Lab, client: Clients) -> Iterator[Operator]:
    account = lab.admin().json("radosgw-admin", "account", "get", "--account-name", FIRM)["id"]
    root = Operator(root_session(lab, FIRM), account, client)
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:user/nobody"},
        "Action": "sts:AssumeRole",
    }
    with suppress(root.iam.exceptions.EntityAlreadyExistsException):
        root.iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=policy(trust))
    with suppress(ClientError):  # our gateways offer no topics; any that did would have this one
        root.topic = root.sns.create_topic(Name=TOPIC)["TopicArn"]
    yield root
    with suppress(ClientError):
        root.sns.delete_topic(TopicArn=root.topic)
    root.iam.delete_role(RoleName=ROLE)
