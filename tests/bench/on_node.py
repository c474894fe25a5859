"""Runs on a node, as root: scrapes exporters many times over one connection; prints what it cost them as JSON."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PKI = Path("/etc/legalcloud/pki")
TICKS = os.sysconf("SC_CLK_TCK")
PROGRAM = "/usr/local/bin/legalcloud"
HUNG_PORT = 9641


def cpu_seconds(pid: int) -> float:
    """User and system time, without that of children (fields 14 and 15 of /proc/PID/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_bytes(pid: int) -> int:
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def link(port: int, address: str) -> http.client.HTTPConnection:
    if port == 9100:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    trust = ssl.create_default_context(cafile=PKI / "ca.crt")
    trust.load_cert_chain(PKI / "node.crt", PKI / "node.key")
    trust.check_hostname = False
    return http.client.HTTPSConnection(address, port, timeout=20, context=trust)


def measure(pid: int, port: int, address: str, *, times: int) -> dict[str, float]:
    """Time each scrape. The process's own background work in that time is counted to it, as it is for node_exporter."""
    connection, waited, text = link(port, address), [], b""
    before, idle_since = cpu_seconds(pid), time.monotonic()
    for _ in range(times):
        start = time.monotonic()
        connection.request("GET", "/metrics")
        text = connection.getresponse().read()
        waited.append(time.monotonic() - start)
    return {
        "rss_bytes": rss_bytes(pid),
        "cpu_seconds_per_scrape": (cpu_seconds(pid) - before) / times,
        "p99_seconds": statistics.quantiles(waited, n=100)[98],
        "median_seconds": statistics.median(waited),
        "series": sum(1 for line in text.splitlines() if line and not line.startswith(b"#")),
        "bytes": len(text),
        "took_seconds": time.monotonic() - idle_since,
    }


def main_pid(unit: str) -> int:
    words = ["systemctl", "show", unit, "--property=MainPID", "--value"]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def hung(address: str, *, times: int) -> dict[str, float]:
    """Start a second agent whose helper takes every question and answers none."""
    with tempfile.TemporaryDirectory(dir="/run") as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/helper")
        silent.listen(50)
        threading.Thread(target=lambda: [silent.accept() for _ in iter(int, 1)], daemon=True).start()
        told = Path("/etc/legalcloud/agent.yml").read_text()
        told = told.replace("/run/credentials/legalcloud-agent.service/agent.key", str(PKI / "agent.key"))
        told = told.replace("port: 9640", f"port: {HUNG_PORT}")
        paths = {name: f"{folder}/{name}" for name in ("status", "helper", "history")}
        Path(folder, "agent.yml").write_text(f"{told}\npaths: {json.dumps(paths)}\n")
        with subprocess.Popen([PROGRAM, "node", "run", "--settings", f"{folder}/agent.yml"]) as agent:
            try:
                time.sleep(20)
                return measure(agent.pid, HUNG_PORT, address, times=times)
            finally:
                agent.kill()


def main() -> None:
    address, times = sys.argv[1], int(sys.argv[2])
    found = {"agent": measure(main_pid("legalcloud-agent.service"), 9640, address, times=times)}
    if "node_exporter" in sys.argv[3:]:
        found["node_exporter"] = measure(main_pid("prometheus-node-exporter.service"), 9100, address, times=times)
    found["hung"] = hung(address, times=times // 2)
    print(json.dumps(found))  # noqa: T201 -- the answer


if __name__ == "__main__":
    main()
