"""Make the one file that bao starts and whose SHA-256 it checks: `python3 -m legalcloud_kms.bundle FILE`."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

INTERPRETER = b"#!/usr/bin/python3 -I\n"
"""Isolated: neither the environment nor a user's own packages can put other code before ours."""
EPOCH = (1980, 1, 1, 0, 0, 0)
START = "import legalcloud_kms.__main__  # noqa: F401\n"


def build(target: Path) -> str:
    """Write the file and return its SHA-256. The same sources give the same bytes, on any machine, at any time."""
    folder = Path(__file__).parent
    sources = {
        f"{folder.name}/{path.name}": path.read_bytes() for path in folder.glob("*.py") if path.name != "bundle.py"
    }
    sources["__main__.py"] = START.encode()
    with target.open("wb") as out:
        out.write(INTERPRETER)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(sources):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), sources[name])
    target.chmod(0o755)
    return hashlib.sha256(target.read_bytes()).hexdigest()


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))  # noqa: T201 -- the answer of a command
