"""One machine with a kernel of its own: QEMU without KVM, reached by SSH on a port of this host."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

NAME = "vm-1"
NETWORK = "10.77.200"
MEMORY_MIB = 3072
DRIVE_BYTES = 5 * 2**30
START_SECONDS = 1200
"""A boot takes 60 s on two idle cores; the machine is shared."""


class GuestError(Exception):
    """The guest did not do what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A machine whose files are in one folder; the folder and one process are all of it, but for what it said."""

    folder: Path
    image: Path
    """The folder of the root; beside it is the disk, NAME.ext4."""
    serials: tuple[str, ...]
    port: int
    user: str = "ops"

    @property
    def logs(self) -> Path:
        """What console, QEMU and OpenBao said; stands until the next guest is made, so that a failure can be read."""
        return self.folder.with_name(f"{self.folder.name}-logs")

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"

    def _pid(self) -> int | None:
        """Find the process, also one that an earlier run left; None if there is none."""
        try:
            pid = int(self._pid_file.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(self._pid_file) in words else None

    def make(self) -> None:
        """Make it anew with empty drives and keys of its own; whatever was there is gone."""
        self.remove()
        if self.logs.exists():
            shutil.rmtree(self.logs)
        self.folder.mkdir(parents=True, mode=0o700)
        self.logs.mkdir(mode=0o700)
        _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", f"{self.image}.ext4", str(self.root))
        for serial in self.serials:
            with self.drive(serial).open("wb") as drive:
                drive.truncate(DRIVE_BYTES)
        for name in ("host", "client"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "guest", "-f", str(self.folder / name))
        (self.folder / "known_hosts").write_text(f"{NAME} {(self.folder / 'host.pub').read_text()}")
        files = {
            "/home/ops/.ssh/authorized_keys": ("client.pub", "0600 ops ops"),
            "/etc/ssh/ssh_host_ed25519_key": ("host", "0600 root root"),
        }
        lines = ["d /home/ops/.ssh 0700 ops ops - -"]
        for path, (name, how) in files.items():
            lines.append(f"f+~ {path} {how} - {base64.b64encode((self.folder / name).read_bytes()).decode()}")
        (self.folder / "tmpfiles").write_text("\n".join(lines) + "\n")

    @property
    def root(self) -> Path:
        return self.folder / "root.qcow2"

    def drive(self, serial: str) -> Path:
        return self.folder / f"{serial}.img"

    def start(self) -> None:
        """Start it and return at once.

        One CPU: the kernel rewrites its code while it runs, and with a thread for each of two CPUs QEMU has run what
        stood there before, on a busy host: "Oops: int3" at boot. A panic ends QEMU, so that nobody waits for SSH.
        """
        if self._pid() is not None:
            raise GuestError(f"{self.folder}: it runs already")
        drives = [("root", self.root, "qcow2"), *((serial, self.drive(serial), "raw") for serial in self.serials)]
        boot = self.image / "boot"
        network = f"net={NETWORK}.0/24,host={NETWORK}.2,hostfwd=tcp:127.0.0.1:{self.port}-{NETWORK}.15:22"
        _run(
            "qemu-system-x86_64", "-name", NAME, "-machine", "q35", "-accel", "tcg,thread=single",
            "-cpu", "max", "-smp", "1", "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none", "-no-reboot",
            "-chardev", f"file,id=console,path={self.logs / 'console'},append=on", "-serial", "chardev:console",
            "-D", str(self.logs / "qemu"),
            "-kernel", str(next(boot.glob("vmlinuz-*"))), "-initrd", str(next(boot.glob("initrd.img-*"))),
            "-append", "root=LABEL=root rw console=ttyS0 quiet oops=panic panic=-1 systemd.show_status=error "
            f"systemd.hostname={NAME}",
            "-fw_cfg", f"name=opt/io.systemd.credentials/tmpfiles.extra,file={self.folder / 'tmpfiles'}",
            "-netdev", f"user,id=net,{network}",
            "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci",
            *(word for serial, path, kind in drives for word in (
                "-drive", f"if=none,id={serial},file={path},format={kind},cache=writeback,discard=unmap",
                "-device", f"virtio-blk-pci,drive={serial},serial={serial}")),
            "-pidfile", str(self._pid_file), "-daemonize",
        )  # fmt: skip

    def wait(self) -> float:
        """Wait until it answers; return the seconds that it took."""
        began = time.monotonic()
        while time.monotonic() - began < START_SECONDS:
            if self._pid() is None:
                raise GuestError(
                    f"the guest ended: its last words are in {self.logs}/console, QEMU's in {self.logs}/qemu"
                )
            if self._ssh("true", timeout_seconds=60).returncode == 0:
                return time.monotonic() - began
            time.sleep(3)
        raise GuestError(f"no SSH after {START_SECONDS} s; see {self.logs}/console")

    def _ssh(self, command: str, *, text: str = "", timeout_seconds: float) -> subprocess.CompletedProcess[str]:
        words = ["ssh", "-p", str(self.port), *self.ssh_options, f"{self.user}@127.0.0.1", command]
        try:
            return subprocess.run(
                words, input=text, capture_output=True, text=True, timeout=timeout_seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            return subprocess.CompletedProcess(words, 255, str(error.stdout or ""), f"no end after {timeout_seconds} s")

    @property
    def ssh_options(self) -> list[str]:
        wishes = {
            "IdentityFile": self.folder / "client",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.folder / "known_hosts",
            "StrictHostKeyChecking": "yes",
            "HostKeyAlias": NAME,
            "ConnectTimeout": "50",
            "LogLevel": "ERROR",
        }
        return [word for name, value in wishes.items() for word in ("-o", f"{name}={value}")]

    def run(self, script: str, *, timeout_seconds: float = 180) -> str:
        """Run a shell script as root and return its standard output. Raises: GuestError if it fails."""
        done = self._ssh("sudo sh -eu", text=script, timeout_seconds=timeout_seconds)
        if done.returncode != 0:
            raise GuestError(f"{script}: {done.stderr.strip()} {done.stdout.strip()}")
        return done.stdout

    def cut_power(self) -> None:
        """End it at once, as a power cut does; files and drives stay as they were."""
        pid = self._pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGKILL)
        while not _ended(pid):
            time.sleep(0.05)

    def remove(self) -> None:
        self.cut_power()
        if self.folder.exists():
            shutil.rmtree(self.folder)


def _ended(pid: int) -> bool:
    """Whether all threads of a process have let go of its files and ports; it may still wait for its parent."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z" and len(threads) == 1


def _run(*words: str, timeout_seconds: float = 60) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    if done.returncode != 0:
        raise GuestError(f"`{' '.join(words)}`: {done.stderr.strip()}")
    return done.stdout
