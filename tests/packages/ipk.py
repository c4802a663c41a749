# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading .ipk files with tarfile, as opkg reads them with libarchive."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ipk:
    path: Path
    control: dict[str, str]
    scripts: dict[str, str]
    """Files of control.tar.gz other than `control`."""
    members: dict[str, tarfile.TarInfo]
    """Of data.tar.gz, by path without the first `./`."""
    data: bytes

    def text(self, name: str) -> str:
        """The contents of a file of data.tar.gz."""
        with tarfile.open(fileobj=io.BytesIO(self.data)) as tar:
            file = tar.extractfile(f"./{name}")
            assert file is not None
            return file.read().decode()

    def unpack(self, directory: Path) -> None:
        with tarfile.open(fileobj=io.BytesIO(self.data)) as tar:
            tar.extractall(directory, filter="tar")

    @property
    def depends(self) -> set[str]:
        return set(self.control["Depends"].split(", "))


def read(path: Path) -> Ipk:
    outer = _files(path.read_bytes())
    assert outer["debian-binary"] == b"2.0\n"
    scripts = {name: data.decode() for name, data in _files(outer["control.tar.gz"]).items()}
    lines = scripts.pop("control").splitlines()
    with tarfile.open(fileobj=io.BytesIO(outer["data.tar.gz"])) as tar:
        members = {member.name.removeprefix("./"): member for member in tar.getmembers()}
    control = dict(line.split(": ", 1) for line in lines)
    return Ipk(path, control, scripts, members, outer["data.tar.gz"])


def _files(archive: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            if file is not None:
                found[member.name.removeprefix("./")] = file.read()
    return found
