"""What each test on the node gets: a SoftHSM with one token and one AES key, and a bao that stands on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.kms.on_node.bao_server import KEY, TOKEN, BaoServer
from tests.kms.on_node.softhsm import SoftHsm


@pytest.fixture
def measured() -> Callable[[str, object], None]:
    """Keep a measured value for whoever started these tests."""

    def keep(name: str, value: object) -> None:
        with Path(os.environ["MEASURED"]).open("a") as file:
            file.write(f"{name} {value}\n")

    return keep


@pytest.fixture
def hsm(tmp_path: Path) -> SoftHsm:
    made = SoftHsm(tmp_path / "hsm")
    made.add_token(TOKEN)
    made.add_aes_key(TOKEN, KEY)
    return made


@pytest.fixture
def bao(tmp_path: Path, hsm: SoftHsm) -> Iterator[BaoServer]:
    server = BaoServer(tmp_path / "bao", hsm, Path(os.environ["BAO"]))
    yield server
    if server.process:
        server.kill()
