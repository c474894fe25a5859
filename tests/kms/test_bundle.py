"""The one file that bao starts: the same bytes each time, the whole package, an isolated interpreter."""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import zipfile
from pathlib import Path

import legalcloud_kms
from legalcloud_kms import bundle

SOURCES = Path(legalcloud_kms.__file__).parent
DEBIAN = {"PyKCS11", "cryptography", "grpclib"}
"""Of the packages python3-pykcs11, python3-cryptography and python3-grpclib."""


def test_the_same_sources_give_the_same_file(tmp_path: Path) -> None:
    first = bundle.build(tmp_path / "one")
    os.utime(tmp_path / "one", (0, 0))

    assert bundle.build(tmp_path / "two") == first
    assert hashlib.sha256((tmp_path / "one").read_bytes()).hexdigest() == first


def test_the_file_is_a_program_that_holds_the_package_and_no_builder(tmp_path: Path) -> None:
    bundle.build(tmp_path / "plugin")

    held = set(zipfile.ZipFile(tmp_path / "plugin").namelist())

    modules = {f"legalcloud_kms/{path.name}" for path in SOURCES.glob("*.py")}
    assert held == modules - {"legalcloud_kms/bundle.py"} | {"__main__.py"}
    assert (tmp_path / "plugin").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "plugin").read_bytes().startswith(b"#!/usr/bin/python3 -I\n")


def test_the_plugin_imports_only_itself_python_and_three_packages_of_debian() -> None:
    imported = {
        name.split(".")[0]
        for path in SOURCES.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported - set(sys.stdlib_module_names) == DEBIAN | {"legalcloud_kms"}
