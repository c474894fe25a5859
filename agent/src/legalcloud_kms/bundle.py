"""Make one program of one file: `python3 -m legalcloud_kms.bundle FILE [PACKAGE...]`.

It prints the file's SHA-256, which bao checks before it starts its plugin.
The first package is the program, the others are what it imports; with none named it is the plugin.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

INTERPRETER = b"#!/usr/bin/python3 -I\n"
"""Isolated: neither the environment nor a user's own packages can put other code before ours."""
EPOCH = (1980, 1, 1, 0, 0, 0)
PLUGIN = ("legalcloud_kms",)
BUILDER = Path(__file__).name


def build(target: Path, packages: tuple[str, ...] = PLUGIN) -> str:
    """Write the file and return its SHA-256. The same sources give the same bytes, on any machine, at any time."""
    sources = {name: content for package in packages for name, content in _sources(package).items()}
    sources["__main__.py"] = f"import {packages[0]}.__main__  # noqa: F401\n".encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.new")
    with staged.open("wb") as out:
        out.write(INTERPRETER)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(sources):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), sources[name])
    staged.chmod(0o755)
    staged.replace(target)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def _sources(package: str) -> dict[str, bytes]:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    paths = [path for path in Path(spec.origin).parent.glob("*.py") if path.name != BUILDER]
    return {f"{package}/{path.name}": path.read_bytes() for path in paths}


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), tuple(sys.argv[2:]) or PLUGIN))  # noqa: T201 -- the answer of a command
