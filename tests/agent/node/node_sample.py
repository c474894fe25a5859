"""A node for tests: settings, a world whose commands answer what a test says, and certificates of a CA of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.agent.signing_sample import Holder, named

from legalcloud.errors import CommandError
from legalcloud.node.settings import Listen, Paths, Serving, Settings, Tls
from legalcloud.node.subject import World
from legalcloud.run import Done

HERE = Path(__file__).parent
DAY = timedelta(days=1)
TLS = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
SIGNING = (x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),)


def settings(folder: Path = Path("/nowhere"), *, services: tuple[str, ...] = (), port: int = 9640) -> Settings:
    return Settings(
        node="tko-1",
        site="tko",
        rack="r1",
        listen=Listen(address=ip_address("127.0.0.1"), port=port),
        tls=Serving(
            certificate=folder / "agent.crt", key=folder / "agent.key", ca=folder / "ca.crt", clients=("cwn-1",)
        ),
        statement=Tls(certificate=folder / "statement.crt", key=folder / "statement.key", ca=folder / "ca.crt"),
        services=services,
        filesystems=(Path("/"),),
        paths=Paths(status=folder / "status.sock", helper=folder / "helper.sock", counter=folder / "counter"),
    )


@dataclass(slots=True)
class Commands:
    """Answers commands by their first words; refuses all others."""

    answers: Mapping[tuple[str, ...], bytes]
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(self, argv: Sequence[str], *, seconds: float) -> Done:
        assert seconds > 0
        self.asked.append(tuple(argv))
        for words, output in self.answers.items():
            if tuple(argv[: len(words)]) == words:
                return Done(exit_code=0, output=output, errors=b"")
        raise CommandError(f"{argv[0]} cannot be started: No such file or directory")


def refuse(name: str, *arguments: str) -> Done:
    raise CommandError(f"`{' '.join((name, *arguments))}`: there is no helper here")


def world(told: Settings, commands: Mapping[Any, bytes] | None = None, *, root: Path = Path("/")) -> World:
    return World(settings=told, run=Commands(commands or {}), ask=refuse, root=root)


def issue(
    ca: Holder,
    name: str,
    *,
    names: Sequence[str] = (),
    purposes: Sequence[x509.ObjectIdentifier] = TLS,
    end: datetime | None = None,
) -> Holder:
    """Have the CA sign a certificate that has been valid for a day."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(end or now + 30 * DAY)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), critical=False)
    return Holder(key=key, certificate=builder.sign(ca.key, hashes.SHA384()))


def key_pem(holder: Holder) -> bytes:
    return holder.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write(folder: Path, stem: str, holder: Holder) -> None:
    (folder / f"{stem}.crt").write_bytes(holder.pem)
    (folder / f"{stem}.key").write_bytes(key_pem(holder))
