# SPDX-License-Identifier: GPL-2.0-or-later
"""Other programs that carry a TCP stream over the same links as the bond, each set up as its users do.

NETPATH_GLORYTUN names the program `gt` of a glorytun built by hand; openvpn is the distribution's, MPTCP the kernel's.
"""

from __future__ import annotations

import datetime
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.bondsite import INNER_CLIENT, INNER_SERVER
from bench.links import SERVER, Links
from netpath.lab.namespace import Namespace, Unavailable, wait_until

GLORYTUN = "NETPATH_GLORYTUN"
START_SECONDS = 20.0
UNLIMITED = 10_000
"""Mbit/s that a program is told of an unlimited link."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One way to bring a stream over links."""

    name: str
    note: str
    check: Callable[[], None]
    """Raises Unavailable with the reason when it cannot be had here."""
    start: Callable[[Links], None]
    """Start it, and return when it carries packets over every link. Raises LabError."""
    address: str = INNER_SERVER
    """Where the far end is reached."""
    mptcp: bool = False
    """The stream's own sockets speak MPTCP."""
    single: bool = False
    """It uses one link only."""


# glorytun


def _has_glorytun() -> None:
    _glorytun()


def _glorytun() -> str:
    name = os.environ.get(GLORYTUN)
    if not name:
        raise Unavailable(f"no glorytun here: {GLORYTUN} names none")
    if not os.access(name, os.X_OK):
        raise Unavailable(f"{name} ({GLORYTUN}) is no program")
    return name


def _start_glorytun(links: Links) -> None:
    program, key = _glorytun(), links.directory / "glorytun.key"
    _secret(key, secrets.token_hex(32) + "\n")
    common = ("bind", "keyfile", str(key), "dev")
    # Its control sockets are named as the devices are, for all namespaces together.
    near, far = f"gt{os.getpid()}n", f"gt{os.getpid()}f"
    server = links.far.popen([program, *common, far, "from", "addr", SERVER], name="glorytun")
    client = links.near.popen([program, *common, near, "to", "addr", SERVER], name="glorytun")
    server.wait_for("running on device")
    client.wait_for("running on device")
    _address(links.far, far, INNER_SERVER)
    _address(links.near, near, INNER_CLIENT)
    for n, rate in enumerate(links.rates):
        own, table = links.address(n), str(100 + n)
        via = ("via", links.address(n, far=True), "dev", links.device(n))
        links.near.run(["ip", "route", "add", SERVER, *via, "table", table])
        links.near.run(["ip", "rule", "add", "from", own, "lookup", table])
        told = f"{rate or UNLIMITED}mbit"
        limit = ("rate", "fixed", "tx", told, "rx", told)
        links.near.run([program, "path", "dev", near, "addr", own, "set", "up", *limit])
    wait_until(partial(_all_running, links, program, near), START_SECONDS, "glorytun's paths", client)
    _wait_for_answer(links)


def _all_running(links: Links, program: str, device: str) -> bool:
    shown = links.near.run([program, "path", "dev", device], check=False)
    return shown.split().count("running") == len(links.rates)


# openvpn


def _openvpn() -> None:
    if shutil.which("openvpn") is None:
        raise Unavailable("openvpn is not installed")


def _start_openvpn(links: Links) -> None:
    prints = {role: _certificate(links.directory, role) for role in ("server", "client")}
    common = "dev ovpn-bench\ndev-type tun\nproto udp\ndata-ciphers AES-256-GCM\nverb 3\n"
    far = f"{common}local {SERVER}\nport 1194\ntls-server\ndh none\nifconfig {INNER_SERVER} {INNER_CLIENT}\n"
    near = f"{common}remote {SERVER} 1194\nnobind\ntls-client\nifconfig {INNER_CLIENT} {INNER_SERVER}\n"
    for end, role, peer, text in ((links.far, "server", "client", far), (links.near, "client", "server", near)):
        where = links.directory
        text += f"cert {where}/{role}.crt\nkey {where}/{role}.key\npeer-fingerprint {prints[peer]}\n"
        (where / f"{role}.conf").write_text(text)
        end.popen(["openvpn", "--config", str(where / f"{role}.conf")], name="openvpn")
    for process in (*links.far.processes, *links.near.processes):
        process.wait_for("Initialization Sequence Completed", START_SECONDS)
    _wait_for_answer(links)


def _certificate(directory: Path, name: str) -> str:
    """Make a certificate of its own and its key; returns the fingerprint as openvpn wants it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
    certificate = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (directory / f"{name}.crt").write_bytes(certificate.public_bytes(pem))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    _secret(directory / f"{name}.key", key.private_bytes(pem, form, plain).decode())
    return certificate.fingerprint(hashes.SHA256()).hex(":")


# MPTCP


def _mptcp() -> None:
    if not Path("/proc/sys/net/mptcp").is_dir():
        raise Unavailable("this kernel has no MPTCP")


def _start_mptcp(links: Links) -> None:
    for end in (links.near, links.far):
        end.sysctl({"mptcp/enabled": 1})
        end.run(["ip", "mptcp", "limits", "set", "subflows", "8", "add_addr_accepted", "8"])
    # The first link has the first subflow already, the one that opens the connection.
    for n in range(1, len(links.rates)):
        links.near.run(["ip", "mptcp", "endpoint", "add", links.address(n), "dev", links.device(n), "subflow"])


TUNNELS = (
    Tunnel("glorytun", "told each link's rate, 10 Gbit/s of an unlimited one", _has_glorytun, _start_glorytun),
    Tunnel("openvpn", "AES-256-GCM over UDP, one link only", _openvpn, _start_openvpn, single=True),
    Tunnel("kernel MPTCP", "TCP only: no tunnel, nothing encrypted", _mptcp, _start_mptcp, address=SERVER, mptcp=True),
)


# What they share


def _secret(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


def _address(end: Namespace, device: str, address: str) -> None:
    end.run(["ip", "address", "add", f"{address}/24", "dev", device])
    end.run(["ip", "link", "set", device, "up"])


def _wait_for_answer(links: Links) -> None:
    ping = ["ping", "-c", "1", "-W", "1", INNER_SERVER]
    wait_until(
        lambda: " 1 received" in links.near.run(ping, check=False), START_SECONDS, "an answer through the tunnel"
    )
