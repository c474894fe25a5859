"""A SoftHSM of a test's own: tokens, keys, and taking a token away and bringing it back."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

LIBRARY = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "482915"
SO_PIN = "73920164"


class SoftHsm:
    def __init__(self, folder: Path) -> None:
        self.tokens = folder / "tokens"
        self.away = folder / "tokens-away"
        self.tokens.mkdir(parents=True)
        self.configuration = folder / "softhsm2.conf"
        self.configuration.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.environment = {"SOFTHSM2_CONF": str(self.configuration), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

    def _run(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def add_token(self, label: str, pin: str = PIN) -> None:
        self._run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", SO_PIN)

    def _tool(self, token: str, *words: str) -> str:
        return self._run("pkcs11-tool", "--module", LIBRARY, "--token-label", token, "--login", "--pin", PIN, *words)

    def add_aes_key(self, token: str, label: str, ident: str = "01") -> None:
        self._tool(token, "--keygen", "--key-type", "AES:32", "--label", label, "--id", ident, "--sensitive")

    def add_rsa_key(self, token: str, label: str, ident: str = "02") -> None:
        self._tool(token, "--keypairgen", "--key-type", "rsa:2048", "--label", label, "--id", ident)

    def add_ec_key(self, token: str, label: str) -> None:
        self._tool(token, "--keypairgen", "--key-type", "EC:prime256v1", "--label", label, "--id", "03")

    def import_aes_key(self, token: str, label: str, raw: bytes) -> None:
        """Put a known key into the token, for a test that opens sealed data without it."""
        file = self.configuration.with_name("raw-key")
        file.write_bytes(raw)
        usage = ("--type", "secrkey", "--key-type", f"AES:{len(raw)}", "--usage-decrypt")
        self._tool(token, "--write-object", str(file), *usage, "--label", label)

    def destroy(self, token: str, kind: str, label: str) -> None:
        self._tool(token, "--delete-object", "--type", kind, "--label", label)

    def serials(self) -> list[str]:
        return re.findall(r"Serial number:\s+([0-9a-f]+)", self._run("softhsm2-util", "--show-slots"))

    def take_away(self) -> None:
        """Pull the token out. SoftHSM needs a folder to look into, so an empty one stays."""
        self.tokens.rename(self.away)
        self.tokens.mkdir()

    def bring_back(self) -> None:
        self.tokens.rmdir()
        self.away.rename(self.tokens)
