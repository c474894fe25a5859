"""What a node sees of the network: interfaces, names, peers, listeners and time servers.

Only the standard library is used, since these questions are asked before anything is installed. The replies
are plain values: the judgement is the controller's.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

_SIOCGIFCONF = 0x8912
_IFREQ_BYTES = 40
"""`struct ifreq` on a 64-bit machine: name (16), address (24)."""
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PROBE = 10, 23, 3
"""linux/in.h, linux/in6.h: send with "do not fragment" and ignore what earlier paths taught."""
_LISTENING = "0A"
_NTP_EPOCH = 2_208_988_800
"""1970-01-01 in seconds of NTP's clock (RFC 5905)."""
_NTP_UNSYNCHRONISED = 3
_NTP_SERVER_MODE = 4
_STRATA = range(1, 16)


def in_time(jobs: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, Any]:
    """Run all jobs at once; one that has not ended in time, or raised OSError, gives a `problem`."""
    done: dict[str, Any] = {}

    def work(name: str, job: Callable[[], Any]) -> None:
        try:
            done[name] = job()
        except OSError as error:
            done[name] = {"problem": str(error)}

    threads = [threading.Thread(target=work, args=item, daemon=True) for item in jobs.items()]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return {name: done.get(name, {"problem": f"no answer in {seconds:g} s"}) for name in jobs}


def interfaces(root: Path = Path("/")) -> dict[str, Any]:
    """MTU and addresses of each interface."""
    found: dict[str, dict[str, Any]] = {
        folder.name: {"mtu_bytes": int((folder / "mtu").read_text()), "addresses": []}
        for folder in sorted((root / "sys/class/net").iterdir())
        if (folder / "mtu").exists()
    }
    for label, address in [*_ipv4_addresses(), *_ipv6_addresses(root)]:
        name = label.partition(":")[0]
        if name in found:
            found[name]["addresses"].append(address)
    return found


def _ipv4_addresses() -> Iterator[tuple[str, str]]:
    buffer = array.array("B", bytes(_IFREQ_BYTES * 256))
    start, _length = buffer.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        reply = fcntl.ioctl(asker.fileno(), _SIOCGIFCONF, struct.pack("iL", len(buffer), start))
    (used, _start) = struct.unpack("iL", reply)
    raw = buffer.tobytes()[:used]
    for offset in range(0, used, _IFREQ_BYTES):
        entry = raw[offset : offset + _IFREQ_BYTES]
        yield entry[:16].split(b"\0", 1)[0].decode(), str(IPv4Address(entry[20:24]))


def _ipv6_addresses(root: Path) -> Iterator[tuple[str, str]]:
    table = root / "proc/net/if_inet6"
    for line in table.read_text().splitlines() if table.exists() else ():
        address, _index, _prefix, _scope, _flags, name = line.split()
        yield name, str(IPv6Address(int(address, 16)))


def addresses_of(name: str) -> list[str]:
    """Addresses that this node's resolver gives for a name."""
    return sorted({str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})


def name_of(address: str) -> str:
    """Name that this node's resolver gives for an address."""
    return socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]


def echoes(peers: Mapping[str, str], mtu_bytes: int, wait_seconds: float = 2.0) -> dict[str, Any]:
    """Ask each peer for two ICMP echoes, one small and one as large as the MTU, neither to be fragmented.

    Needs root, for a raw socket; `ping` may not be installed yet.
    """
    replies: dict[str, Any] = {name: {"small": False, "full": False} for name in peers}
    for version in (4, 6):
        wanted = {name: address for name, address in peers.items() if ip_address(address).version == version}
        if wanted:
            _echoes(version, wanted, mtu_bytes, wait_seconds, replies)
    return replies


def _echoes(
    version: int, peers: Mapping[str, str], mtu_bytes: int, wait_seconds: float, replies: dict[str, Any]
) -> None:
    four = version == 4  # noqa: PLR2004 -- the version of the protocol
    mark = os.getpid() & 0xFFFF
    sizes = {"small": 56, "full": mtu_bytes - (28 if four else 48)}
    open_questions = {number: (name, kind) for number, (name, kind) in enumerate((n, k) for n in peers for k in sizes)}
    family = socket.AF_INET if four else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if four else socket.IPPROTO_ICMPV6
    with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        level, option = (socket.IPPROTO_IP, _IP_MTU_DISCOVER) if four else (socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER)
        raw.setsockopt(level, option, _PROBE)
        start = time.monotonic()
        for round_ends in (start + wait_seconds / 2, start + wait_seconds):
            for number, (name, kind) in open_questions.items():
                try:
                    raw.sendto(_question(four, mark, number, sizes[kind]), (peers[name], 0))
                except OSError as error:
                    replies[name]["problem"] = str(error)
            while open_questions and (left := round_ends - time.monotonic()) > 0:
                if not select.select([raw], [], [], left)[0]:
                    break
                packet = raw.recv(65_536)
                body = packet[(packet[0] & 0x0F) * 4 :] if four else packet
                kind_of_reply, _code, _sum, identity, number = struct.unpack("!BBHHH", body[:8])
                if kind_of_reply == (0 if four else 129) and identity == mark and number in open_questions:
                    name, kind = open_questions.pop(number)
                    replies[name][kind] = True


def _question(four: bool, mark: int, number: int, size: int) -> bytes:
    header = struct.pack("!BBHHH", 8 if four else 128, 0, 0, mark, number)
    packet = header + bytes(size)
    if not four:
        return packet  # the kernel fills in the checksum of ICMPv6
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet[: len(packet) // 2 * 2])) + (
        packet[-1] << 8 if len(packet) % 2 else 0
    )
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return packet[:2] + struct.pack("!H", ~total & 0xFFFF) + packet[4:]


def listeners(root: Path = Path("/")) -> list[dict[str, Any]]:
    """Every listening TCP port and the process that holds it; only root sees all processes."""
    holders: dict[str, str] = {}
    for link in root.glob("proc/[0-9]*/fd/*"):
        try:
            target = str(link.readlink())
            if target.startswith("socket:["):
                holders[target[8:-1]] = (link.parent.parent / "comm").read_text().strip()
        except OSError:
            continue  # the process has ended since
    found = set()
    tables = (root / "proc/net/tcp", root / "proc/net/tcp6")
    for table in tables * 2:  # read twice: a row can be passed over while others come and go
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENING:
                found.add((int(fields[1].rpartition(":")[2], 16), holders.get(fields[9])))
    return [
        {"port": port, "process": process} for port, process in sorted(found, key=lambda item: (item[0], item[1] or ""))
    ]


def ask_time(server: str, timeout_seconds: float = 2.0) -> dict[str, Any]:
    """Measure this node's clock against one server by a single NTP exchange (RFC 5905)."""
    problem = "the name has no address"
    addresses = {entry[4][0]: entry for entry in socket.getaddrinfo(server, 123, type=socket.SOCK_DGRAM)}
    for family, _type, protocol, _name, place in addresses.values():
        with socket.socket(family, socket.SOCK_DGRAM, protocol) as asker:
            asker.settimeout(timeout_seconds / len(addresses))
            try:
                asker.connect(place)
                sent = time.time()
                asker.send(struct.pack("!B39xQ", 0x23, _ntp(sent)))
                reply = asker.recv(1024)
                came = time.time()
            except OSError as error:
                problem = f"{place[0]}: {error}"
                continue
        answer = time_answer(reply, sent=sent, came=came)
        return {"addresses": sorted(map(str, addresses)), **answer}
    return {"addresses": sorted(map(str, addresses)), "problem": problem}


def time_answer(reply: bytes, *, sent: float, came: float) -> dict[str, Any]:
    """Judge one NTP reply; `sent` and `came` are seconds of this node's clock."""
    if len(reply) < 48:  # noqa: PLR2004 -- RFC 5905, section 7.3
        return {"problem": f"the reply has {len(reply)} bytes, NTP has 48"}
    first, stratum, origin, received, replied = struct.unpack("!BB22xQQQ", reply[:48])
    if first & 7 != _NTP_SERVER_MODE or origin != _ntp(sent):
        return {"problem": "the reply does not belong to the question"}
    if first >> 6 == _NTP_UNSYNCHRONISED or stratum not in _STRATA:
        return {"problem": f"the server is not synchronised itself (stratum {stratum})"}
    offset = ((_unix(received) - sent) + (_unix(replied) - came)) / 2
    return {"offset_seconds": round(offset, 6), "stratum": stratum}


def _ntp(unix: float) -> int:
    return int((unix + _NTP_EPOCH) * 2**32)


def _unix(ntp: int) -> float:
    return ntp / 2**32 - _NTP_EPOCH
