# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of a bond, from its options or from files."""

from __future__ import annotations

import stat
from pathlib import Path

from netpath.config.kinds_bond import parse_key
from netpath.config.parse import Parsed, Report
from netpath.config.values import BadValueError

_LONGEST = 4096
"""Bytes of a key file, which has 45."""


def key_file(directory: Path, bond: str) -> Path:
    """Where a bond's private key is unless an option says otherwise."""
    return directory / f"{bond}.key"


class Keys:
    """Reads them; what is wrong goes into the report, and never with the key. What is switched off needs none yet."""

    def __init__(self, report: Report, directory: Path) -> None:
        self._report = report
        self._directory = directory

    def private(self, section: Parsed) -> bytes | None:
        """The bond's own key; None: reported."""
        found = self._either(section, "private_key")
        if found is not None or {"private_key", "private_key_file"} & section.entries.keys():
            return found
        path = key_file(self._directory, section.name)
        if path.exists():
            return self._file(section, None, path)
        if not section.get("enabled", bool):
            return None
        fix = f"netpath bond genkey --output {path}, or add option private_key '...'"
        self._report.error(section, None, f"there is no private_key, and no file {path}", fix)
        return None

    def preshared(self, section: Parsed) -> bytes | None:
        """None: there is none, or it was reported."""
        return self._either(section, "preshared_key")

    def _either(self, section: Parsed, option: str) -> bytes | None:
        file = section.maybe(f"{option}_file", str)
        if file is None:
            return section.maybe(option, bytes)
        if option in section.entries:
            self._report.error(section, f"{option}_file", f"there is {option} too", "keep one of the two")
            return None
        return self._file(section, f"{option}_file", Path(file))

    def _file(self, section: Parsed, option: str | None, path: Path) -> bytes | None:
        make = "genpsk" if option == "preshared_key_file" else "genkey"
        try:
            with path.open("rb") as stream:
                mode = path.stat().st_mode
                data = stream.read(_LONGEST)
        except FileNotFoundError:
            if section.get("enabled", bool):
                fix = f"netpath bond {make} --output {path}, or name another file"
                self._report.error(section, option, f"there is no file {path}", fix)
            return None
        except OSError as error:
            fix = "check the path and its permissions"
            self._report.error(section, option, f"{path} cannot be read: {error.strerror}", fix)
            return None
        try:
            key = parse_key(data.decode("ascii", "replace").strip())
        except BadValueError as bad:
            self._report.error(section, option, f"{path}: {bad.message}", bad.fix)
            return None
        if stat.S_IMODE(mode) & 0o077:
            self._report.warning(section, option, f"others may read {path}", f"chmod 600 {path}")
        return key
