# SPDX-License-Identifier: GPL-2.0-or-later
"""Option before environment before default."""

from __future__ import annotations

from pathlib import Path

import pytest

from netpath import paths

ENVIRON = {"NETPATH_CONFIG": "/e/c.toml", "NETPATH_SOCKET": "/e/s", "NETPATH_STATE_DIR": "/e/d"}


def test_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    uci, toml = tmp_path / "netpath", tmp_path / "config.toml"
    monkeypatch.setattr(paths, "UCI_CONFIG", uci)
    monkeypatch.setattr(paths, "TOML_CONFIG", toml)
    assert paths.resolve([], {})[0].config == uci
    toml.touch()
    assert paths.resolve([], {})[0].config == toml
    uci.touch()
    where, _ = paths.resolve([], {})
    assert where.config == uci
    assert (str(where.socket), str(where.state_dir)) == ("/var/run/netpath.sock", "/var/run/netpath")
    assert (str(where.user_script), str(where.hooks_dir)) == ("/etc/netpath.user", "/etc/netpath.d")
    assert str(where.monitor_socket) == "/var/run/netpath-monitor.sock"
    assert str(where.bond_socket("home")) == "/var/run/netpath-bond-home.sock"
    assert str(where.keys_dir) == "/etc/netpath"
    assert str(where.lock) == "/var/run/netpath/lock"


def test_environment_and_options() -> None:
    assert paths.resolve([], ENVIRON)[0] == paths.Paths(
        Path("/e/c.toml"), Path("/e/s"), Path("/e/d"), monitor_socket=Path("/e/s-monitor"), bond_dir=Path("/e")
    )
    where, rest = paths.resolve(["run", "--socket=/o/s", "--config", "/o/c", "--syslog", "--state-dir", "d"], ENVIRON)
    assert where == paths.Paths(
        Path("/o/c"), Path("/o/s"), Path.cwd() / "d", monitor_socket=Path("/o/s-monitor"), bond_dir=Path("/o")
    )
    assert rest == ["run", "--syslog"]


@pytest.mark.parametrize("args", [["--config"], ["--socket="], ["--state-dir", ""]])
def test_an_option_without_a_value(args: list[str]) -> None:
    with pytest.raises(ValueError, match=r"--\S+ needs a value"):
        paths.resolve(args, {})
