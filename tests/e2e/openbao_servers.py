"""OpenBao's servers as their health tells."""

from __future__ import annotations

from tests.e2e.nodes import Node

CA = "/usr/local/share/ca-certificates/legalcloud.crt"


def status(node: Node) -> int:
    """Return the status code of its health, with standbys as good; 0 without an answer."""
    ask = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", CA]
    return int(node.run([*ask, "https://localhost:8200/v1/sys/health?standbyok=true"], good=(0, 7, 35, 56)) or b"0")


def unsealed(node: Node) -> bool:
    return status(node) == 200
