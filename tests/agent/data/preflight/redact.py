"""Redact a recorded answer of module `preflight_facts`, or the first block of an OSD's drive.

python redact.py facts < answer.json > sample.json;  python redact.py label < block > sample.label
"""

from __future__ import annotations

import json
import re
import sys

_MACHINE_ID = "0123456789abcdef0123456789abcdef"
_KEY = re.compile(rb"(osd_key.\0\0\0)([A-Za-z0-9+/=]{60})", re.DOTALL)


def facts(raw: bytes) -> bytes:
    """Replace the machine id and the options of mounts, which name folders of the host."""
    answer = json.loads(raw)
    answer["files"]["/etc/machine-id"] = f"{_MACHINE_ID}\n"
    mounts = answer["files"]["/proc/self/mounts"].splitlines()
    answer["files"]["/proc/self/mounts"] = "".join(f"{' '.join(line.split(' ')[:3])} rw 0 0\n" for line in mounts)
    return json.dumps(answer, indent=1, sort_keys=True).encode() + b"\n"


def label(raw: bytes) -> bytes:
    """Replace the OSD's key with as many zeros; the checksum of the label no longer fits."""
    redacted, count = _KEY.subn(lambda found: found[1] + b"0" * len(found[2]), raw)
    if count != 1:
        raise SystemExit(f"expected one osd_key, found {count}")
    return redacted


if __name__ == "__main__":
    work = {"facts": facts, "label": label}[sys.argv[1]]
    sys.stdout.buffer.write(work(sys.stdin.buffer.read()))
