# SPDX-License-Identifier: GPL-2.0-or-later
"""Where one NetPath instance keeps its files; shared by the command, the tracker and the workers.

Each place comes from the option, else the environment, else the router's default, so that several instances run side by
side in network namespaces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

UCI_CONFIG = Path("/etc/config/netpath")
TOML_CONFIG = Path("/etc/netpath/config.toml")
SOCKET = Path("/var/run/netpath.sock")
BOND_SOCKET = "netpath-bond-"
"""How the names of the bonds' sockets begin."""
MONITOR_SOCKET = Path("/var/run/netpath-monitor.sock")
STATE_DIR = Path("/var/run/netpath")
USER_SCRIPT = Path("/etc/netpath.user")
HOOKS_DIR = Path("/etc/netpath.d")
USAGE = Path("/etc/netpath/usage.json")
KEYS_DIR = Path("/etc/netpath")

OPTIONS = {"--config": "NETPATH_CONFIG", "--socket": "NETPATH_SOCKET", "--state-dir": "NETPATH_STATE_DIR"}
"""Option -> environment variable."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The places of one instance."""

    config: Path
    """UCI file, or TOML when its name ends in `.toml`."""
    socket: Path
    """The tracker's unix socket."""
    state_dir: Path
    user_script: Path = USER_SCRIPT
    """Run by /bin/sh at each transition (NETPATH_USER_SCRIPT)."""
    hooks_dir: Path = HOOKS_DIR
    """Its executables are run at each transition (NETPATH_HOOKS_DIR)."""
    usage: Path = USAGE
    """What was used of quotas; must survive a reboot (NETPATH_USAGE)."""

    monitor_socket: Path = MONITOR_SOCKET
    """The monitor's (NETPATH_MONITOR_SOCKET); beside the tracker's where that is not named."""

    bond_dir: Path = SOCKET.parent
    """Directory of the bonds' sockets (NETPATH_BOND_DIR); the tracker's where that is not named."""
    keys_dir: Path = KEYS_DIR
    """Directory of the bonds' private keys (NETPATH_KEYS_DIR)."""

    def bond_socket(self, name: str) -> Path:
        """Of the bond of that name."""
        return self.bond_dir / f"{BOND_SOCKET}{name}.sock"

    def bond_lock(self, name: str) -> Path:
        """Locked (flock) by the bond of that name for as long as it lives."""
        return self.bond_socket(name).with_suffix(".lock")

    @property
    def lock(self) -> Path:
        """Locked (flock) by a tracker from before its first change to after its last."""
        return self.state_dir / "lock"


def resolve(args: Sequence[str], environ: Mapping[str, str]) -> tuple[Paths, list[str]]:
    """Take `--config FILE`, `--socket PATH` and `--state-dir DIR` (also `--config=FILE`) out of `args`.

    Returns the paths and the remaining arguments in order. Raises ValueError for an option without a value.
    """
    given: dict[str, str] = {}
    rest: list[str] = []
    words = iter(args)
    for word in words:
        option, equals, value = word.partition("=")
        if option not in OPTIONS:
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value:
            raise ValueError(f"{option} needs a value")
        given[option] = value
    return locate(environ, given), rest


def locate(environ: Mapping[str, str], given: Mapping[str, str | None]) -> Paths:
    """The paths of an instance from `given` (keys as in OPTIONS; None or missing: not given) and the environment.

    Relative names become absolute here, because a tracker that is started detached changes its directory.
    """

    def place(option: str, default: Path) -> Path:
        value = given.get(option) or environ.get(OPTIONS[option])
        return Path(value).absolute() if value else default

    socket = place("--socket", SOCKET)
    beside = socket.with_name(f"{socket.stem}-monitor{socket.suffix}")
    return Paths(
        config=place("--config", _default_config()),
        socket=socket,
        state_dir=place("--state-dir", STATE_DIR),
        user_script=Path(environ.get("NETPATH_USER_SCRIPT") or USER_SCRIPT),
        hooks_dir=Path(environ.get("NETPATH_HOOKS_DIR") or HOOKS_DIR),
        usage=Path(environ.get("NETPATH_USAGE") or USAGE).absolute(),
        monitor_socket=Path(environ.get("NETPATH_MONITOR_SOCKET") or beside).absolute(),
        bond_dir=Path(environ.get("NETPATH_BOND_DIR") or socket.parent).absolute(),
        keys_dir=Path(environ.get("NETPATH_KEYS_DIR") or KEYS_DIR).absolute(),
    )


def _default_config() -> Path:
    """UCI is the router's way; TOML counts only where it is the only one."""
    return TOML_CONFIG if TOML_CONFIG.exists() and not UCI_CONFIG.exists() else UCI_CONFIG
