"""Which machine this is: facts that outlive a restart, and one that does not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from legalcloud.errors import ParseError, SourceError

_HEX = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What tells one machine, and one run of it, from all others."""

    machine_id: str
    """machine-id(5), 32 hex digits; made when the system was installed."""
    dmi_serial: str | None
    """As the firmware says (SMBIOS type 1); None on a machine that has none, such as a container."""
    boot_id: str
    """Of the kernel's present run, 32 hex digits; containers share their host's."""


def read(root: Path = Path("/")) -> Identity:
    """Read it as root, since the firmware's serial is not for others. Raises: SourceError, ParseError."""
    try:
        machine_id = (root / "etc/machine-id").read_bytes()
        boot_id = (root / "proc/sys/kernel/random/boot_id").read_bytes()
    except OSError as error:
        raise SourceError(f"{error.filename}: {error.strerror}", hint="Run `systemd-machine-id-setup`.") from error
    try:
        serial = (root / "sys/class/dmi/id/product_serial").read_bytes()
    except FileNotFoundError:
        serial = b""
    except OSError as error:
        raise SourceError(f"{error.filename}: {error.strerror}", hint="Run this as root.") from error
    return Identity(
        machine_id=_id("machine-id", machine_id),
        dmi_serial="".join(filter(str.isprintable, serial.decode(errors="replace"))).strip() or None,
        boot_id=_id("boot_id", boot_id.replace(b"-", b"")),
    )


def _id(name: str, raw: bytes) -> str:
    text = raw.decode(errors="replace").strip()
    if not _HEX.fullmatch(text):
        raise ParseError(f"{name} is {text[:40]!r}, not 32 hex digits")
    return text
