"""What the base roles and the internal CA promise, on every node of the lab."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from testinfra.host import Host

pytestmark = pytest.mark.ci
testinfra_hosts = ["ansible://storage?sudo=true"]

ROOT = Path(__file__).parents[2]
PKI = "/etc/legalcloud/pki"
OUTSIDE = "203.0.113.9"
"""Documentation address: nothing answers there, and nothing may be sent there."""


def output(host: Host, command: str) -> str:
    done = host.run(command)
    assert done.rc == 0, f"{command}: {done.stderr}"
    return str(done.stdout)


def dropped(host: Host, counter: str) -> int:
    shown = output(host, f"nft list counter inet legalcloud {counter}")
    found = re.search(r"packets (\d+)", shown)
    assert found, shown
    return int(found[1])


def test_a_node_has_its_inventory_name_and_knows_every_other_by_address(host: Host) -> None:
    variables = host.ansible.get_variables()
    name, nodes = variables["inventory_hostname"], variables["groups"]["storage"]

    assert output(host, "hostname").strip() == name
    for node in nodes:
        address = output(host, f"getent ahostsv4 {node}").split()[0]
        assert not address.startswith("127."), f"{node} must not resolve to loopback"
    assert variables["ansible_host"] in output(host, f"getent ahostsv4 {name}")


def test_the_journal_is_kept_and_bounded(host: Host) -> None:
    settings = output(host, "systemd-analyze cat-config systemd/journald.conf")

    assert re.search(r"^Storage=persistent$", settings, re.MULTILINE)
    assert re.search(r"^SystemMaxUse=\d+[KMGT]$", settings, re.MULTILINE)
    assert host.file("/var/log/journal").is_directory


def test_the_folder_of_the_appliance_is_readable_by_all_and_writable_by_root(host: Host) -> None:
    folder = host.file("/etc/legalcloud")

    assert (folder.user, folder.group, folder.mode) == ("root", "root", 0o755)


def test_chrony_runs_with_the_configuration_on_disk(host: Host) -> None:
    assert host.service("chrony").is_running
    assert host.service("chrony").is_enabled
    started = output(host, "systemctl show chrony --property=InactiveExitTimestamp --value --timestamp=unix")
    written = host.file("/etc/chrony/chrony.conf").mtime.timestamp()
    assert int(started.strip().lstrip("@")) + 1 >= written
    configured = re.findall(r"^(?:server|pool|peer) (\S+)", host.file("/etc/chrony/chrony.conf").content_string, re.M)
    assert configured
    assert len(output(host, "chronyc -c -n sources").splitlines()) >= len(configured)


def test_sshd_takes_keys_only(host: Host) -> None:
    settings = output(host, "/usr/sbin/sshd -T").lower().splitlines()  # case changed with OpenSSH 10

    for line in (
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "permitrootlogin no",
        "authenticationmethods publickey",
        "x11forwarding no",
        "allowtcpforwarding no",
    ):
        assert line in settings


def test_the_firewall_denies_by_default_in_every_direction_now_and_at_boot(host: Host) -> None:
    table = output(host, "nft --stateless list table inet legalcloud")

    for hook in ("input", "forward", "output"):
        assert f"type filter hook {hook} priority filter; policy drop;" in table
    assert host.service("nftables").is_enabled
    output(host, "nft --check --file /etc/nftables.conf")


def test_a_packet_to_the_outside_is_dropped_and_counted(host: Host) -> None:
    before = dropped(host, "egress_dropped")

    done = host.run(f"timeout 2 bash -c 'echo > /dev/tcp/{OUTSIDE}/443'")

    assert done.rc != 0
    assert dropped(host, "egress_dropped") > before


def test_stopping_the_firewalls_unit_does_not_open_the_node(host: Host) -> None:
    assert output(host, "systemctl show nftables --property=ExecStop --value").strip() == ""


def test_a_rule_added_by_hand_is_noticed_and_put_back(host: Host, request: pytest.FixtureRequest) -> None:
    name = host.ansible.get_variables()["inventory_hostname"]
    inventory = request.config.getoption("--ansible-inventory")
    wanted = output(host, "nft --stateless list table inet legalcloud")
    command = [str(Path(sys.executable).parent / "ansible"), name, "--become", "--module-name=nft_table"]
    command += ["--args=path=/etc/nftables.d/legalcloud.nft name=legalcloud"]
    command += [f"--inventory={inventory}"] if inventory else []

    def keep() -> str:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    output(host, "nft insert rule inet legalcloud output accept")
    try:
        first, second = keep(), keep()
    finally:
        output(host, "nft --file /etc/nftables.d/legalcloud.nft")

    assert "CHANGED" in first
    assert "SUCCESS" in second
    assert output(host, "nft --stateless list table inet legalcloud") == wanted


def test_the_nodes_certificate_names_the_node_and_the_whole_node_trusts_its_ca(host: Host) -> None:
    variables = host.ansible.get_variables()
    name, address = variables["inventory_hostname"], variables["ansible_host"]

    output(host, f"openssl verify -verify_hostname {name} -verify_ip {address} {PKI}/node.crt")
    output(host, f"openssl verify -purpose sslclient {PKI}/node.crt")
    output(host, f"openssl x509 -in {PKI}/node.crt -noout -checkend {29 * 86400}")


def test_the_nodes_key_is_the_certificates_and_not_for_all_to_read(host: Host) -> None:
    key = host.file(f"{PKI}/node.key")

    assert key.mode & 0o007 == 0
    assert key.mode & 0o030 == 0
    public = output(host, f"openssl pkey -in {PKI}/node.key -pubout")
    assert public == output(host, f"openssl x509 -in {PKI}/node.crt -noout -pubkey")


def test_no_two_nodes_share_a_key(host: Host, seen_keys: dict[str, str]) -> None:
    name = host.ansible.get_variables()["inventory_hostname"]
    public = output(host, f"openssl x509 -in {PKI}/node.crt -noout -pubkey")

    assert seen_keys.setdefault(public, name) == name


@pytest.fixture(scope="module")
def seen_keys() -> dict[str, str]:
    """Public key to node, filled while the module runs."""
    return {}


def test_a_packet_from_the_controller_to_a_closed_port_is_dropped_and_counted(host: Host) -> None:
    before = dropped(host, "ingress_dropped")
    address = host.ansible.get_variables()["ansible_host"]

    with pytest.raises(TimeoutError):
        socket.create_connection((address, 9), timeout=1)

    assert dropped(host, "ingress_dropped") > before
