"""Runs on a node, as root: one Prometheus scrapes as many simulated agents as asked for. Prints JSON.

The simulator serves this node's own exposition, with the values of counters moving, on one path for each agent.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

PKI = Path("/etc/legalcloud/pki")
TICKS = os.sysconf("SC_CLK_TCK")
INTERVAL_SECONDS = 30
PORT, PROMETHEUS_PORT = 9700, 9701


def recorded(address: str) -> bytes:
    trust = ssl.create_default_context(cafile=PKI / "ca.crt")
    trust.load_cert_chain(PKI / "node.crt", PKI / "node.key")
    trust.check_hostname = False
    with urllib.request.urlopen(f"https://{address}:9640/metrics", context=trust, timeout=10) as answer:
        return bytes(answer.read())


def simulator(text: bytes) -> http.server.ThreadingHTTPServer:
    moving = re.compile(rb"^(legalcloud_probe_(?:age|duration)_seconds\{[^}]*\}) [^\n]+", re.MULTILINE)

    class Agent(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = moving.sub(rb"\1 %.3f" % (time.time() % 30), text)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Agent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_bytes(pid: int) -> int:
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def asked(query: str) -> float:
    url = f"http://127.0.0.1:{PROMETHEUS_PORT}/api/v1/query?query={query}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        (found,) = json.load(answer)["data"]["result"]
    return float(found["value"][1])


def main() -> None:
    address, targets, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    subprocess.run(["/usr/bin/systemctl", "stop", "prometheus.service"], check=False, capture_output=True)
    text = recorded(address)
    jobs = [
        {
            "job_name": f"agent-{number}",
            "metrics_path": f"/agent/{number}",
            "static_configs": [{"targets": [f"127.0.0.1:{PORT}"]}],
        }
        for number in range(targets)
    ]
    server = simulator(text)
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    (folder / "prometheus.yml").write_text(
        json.dumps({"global": {"scrape_interval": f"{INTERVAL_SECONDS}s"}, "scrape_configs": jobs})
    )
    words = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{PROMETHEUS_PORT}", "--log.level=error"]  # fmt: skip
    with subprocess.Popen(words) as prometheus:
        try:
            time.sleep(2 * INTERVAL_SECONDS)
            before, size, start = cpu_seconds(prometheus.pid), stored(folder), time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - start
            found = {
                "targets": int(asked("sum(up)")),
                "series": targets * series(text),
                "cpu_cores": (cpu_seconds(prometheus.pid) - before) / took,
                "rss_bytes": rss_bytes(prometheus.pid),
                "disk_bytes_per_hour": (stored(folder) - size) / took * 3600,
            }
        finally:
            prometheus.terminate()
    server.shutdown()
    shutil.rmtree(folder)
    print(json.dumps(found))  # noqa: T201 -- the answer


def series(text: bytes) -> int:
    return sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))


if __name__ == "__main__":
    main()
