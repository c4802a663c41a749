# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages for OpenWrt without its SDK: `python tools/ipk.py [DIRECTORY]` (default dist/), standard library only.

An .ipk is a tar.gz of debian-binary, control.tar.gz and data.tar.gz. What a package depends on, its scripts and its
conffiles are read from the recipes (openwrt.mk, packages/), so there is one place for them. Everything is packed in
order, as root's, with SOURCE_DATE_EPOCH (else the last commit's time) for every time: twice the same source, twice the
same bytes.

The Python packages go to /usr/lib/netpath, where the launcher finds them under any Python version, as sources: the
router's own Python compiles them at installation (files/etc/uci-defaults/90-netpath).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import runpy
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = "usr/lib/netpath"
SEPARATE = ("monitor", "bond")
"""Directories of the Python package that are packages of their own."""
SKIPPED = {"__pycache__", "lab"}
"""Directories of the Python package that no router needs."""
TIME_LIMIT = 60
LANGUAGES = {
    "luci-i18n-netpath-ru": ("ru", "Русский (Russian)"),
    "luci-i18n-netpath-zh-cn": ("zh_Hans", "简体中文 (Simplified Chinese)"),
}
"""Package -> directory below po/, and the language's name in LuCI's list."""


class RecipeError(Exception):
    """A recipe is not as this program reads them; or its source is not what the recipe says."""


@dataclass(frozen=True, slots=True)
class File:
    data: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    fields: Mapping[str, str]
    """Of the control file, beyond those that every package has."""
    scripts: Mapping[str, str]
    conffiles: tuple[str, ...]
    files: Mapping[str, File]
    """Path without the first slash -> contents."""


class Recipe:
    """The definitions and variables of an OpenWrt makefile, as far as packages need them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text(encoding="utf-8")
        self._blocks: dict[str, str] = dict(re.findall(r"^define (\S+)\n(.*?)^endef$", text, re.MULTILINE | re.DOTALL))
        self._variables: dict[str, str] = dict(re.findall(r"^(\w+):=(.*)$", text, re.MULTILINE))

    def variable(self, name: str) -> str:
        """Raises RecipeError when there is none."""
        try:
            return self._variables[name]
        except KeyError:
            raise RecipeError(f"{self.path} has no {name}") from None

    def block(self, name: str) -> str:
        """The text of a definition as make expands it; empty when there is none."""
        return self._blocks.get(name, "").replace("$$", "$")

    def package(self, name: str, version: str, files: Mapping[str, File]) -> Package:
        """Package `name` of this recipe with `files`."""
        settings = dict(re.findall(r"^  (\w+):=(.*)$", self.block(f"Package/{name}").replace("\\\n", ""), re.MULTILINE))
        if settings.get("PKGARCH") != "all":
            raise RecipeError(f"{self.path}: package {name} is not for all architectures")
        description = self.block(f"Package/{name}/description").split()
        fields = {
            "Depends": ", ".join(word.removeprefix("+") for word in settings["DEPENDS"].split()),
            "Section": settings["SECTION"],
            "License": self.variable("PKG_LICENSE"),
            "Maintainer": self.variable("PKG_MAINTAINER"),
            "Description": " ".join([f"{settings['TITLE']}.", *description]),
        }
        scripts = {each: self.block(f"Package/{name}/{each}") for each in ("preinst", "postinst", "prerm", "postrm")}
        return Package(
            name,
            f"{version}-r{self.variable('PKG_RELEASE')}",
            fields,
            {each: text for each, text in scripts.items() if text},
            tuple(self.block(f"Package/{name}/conffiles").split()),
            files,
        )


def tree(source: Path, target: str, skipped: frozenset[str] = frozenset()) -> dict[str, File]:
    """Every file below `source`, to be installed below `target`; executable where it is so here."""
    found = {}
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_file() and not skipped & set(inside.parts):
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            found[f"{target}/{inside}".lstrip("/")] = File(path.read_bytes(), mode)
    return found


def netpath_files() -> dict[str, File]:
    return tree(ROOT / "files", "") | tree(ROOT / "netpath", f"{LIBRARY}/netpath", frozenset(SKIPPED | {*SEPARATE}))


def separate_files(part: str) -> dict[str, File]:
    """Of a directory in SEPARATE."""
    python = tree(ROOT / "netpath" / part, f"{LIBRARY}/netpath/{part}", frozenset(SKIPPED))
    return tree(ROOT / f"files-{part}", "") | python


def translations(prefix: str, language: str, title: str) -> dict[str, File]:
    """What luci.mk puts into such a package: the catalogue, and the script that adds to LuCI's list of languages."""
    po = runpy.run_path(str(ROOT / "tools/po.py"), run_name="po")
    short = prefix.rpartition("-netpath-")[2]
    text = (ROOT / "po" / language / "netpath.po").read_text(encoding="utf-8")
    script = f"uci set luci.languages.{short.replace('-', '_')}='{title}'; uci commit luci\n"
    return {
        f"usr/lib/lua/luci/i18n/netpath.{short}.lmo": File(po["lmo"](po["read"](text)), 0o644),
        f"etc/uci-defaults/{prefix}": File(script.encode(), 0o644),
    }


def luci_files() -> dict[str, File]:
    return tree(ROOT / "root", "") | tree(ROOT / "htdocs", "www") | tree(ROOT / "luasrc", "usr/lib/lua/luci")


def binding_files(recipe: Recipe) -> dict[str, File]:
    """The one module of the nftables binding, out of the archive that the recipe names."""
    archive = f"{recipe.variable('PYPI_NAME')}-{recipe.variable('PYPI_VERSION')}"
    with _archive(recipe, archive) as tar:
        member = tar.extractfile(f"{archive}/src/nftables.py")
        if member is None:
            raise RecipeError(f"{archive} has no src/nftables.py")
        return {f"{LIBRARY}/nftables.py": File(member.read(), 0o644)}


def client_files(recipe: Recipe) -> dict[str, File]:
    """The modules of Prometheus' client."""
    package = recipe.variable("PYPI_SOURCE_NAME")
    archive = f"{package}-{recipe.variable('PKG_VERSION')}"
    found = {}
    with _archive(recipe, archive) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            if file is not None and member.name.startswith(f"{archive}/{package}/"):
                found[f"{LIBRARY}/{member.name.partition('/')[2]}"] = File(file.read(), 0o644)
    return found


def _archive(recipe: Recipe, archive: str) -> tarfile.TarFile:
    """The source that the recipe names, from PyPI. Raises RecipeError when it is not what the recipe says."""
    name = recipe.variable("PYPI_NAME")
    index = f"https://pypi.org/simple/{name}/"
    page = _fetched(index).decode()
    link = re.search(rf'href="([^"#]+/{re.escape(archive)}\.tar\.gz)[#"]', page)
    if link is None:
        raise RecipeError(f"{index} has no {archive}.tar.gz")
    url = urljoin(index, link[1])
    data = _fetched(url)
    found = hashlib.sha256(data).hexdigest()
    if found != recipe.variable("PKG_HASH"):
        raise RecipeError(f"{url} has the hash {found}, {recipe.path} says {recipe.variable('PKG_HASH')}")
    return tarfile.open(fileobj=io.BytesIO(data))


def _fetched(url: str) -> bytes:
    with urlopen(url, timeout=TIME_LIMIT) as reply:
        data: bytes = reply.read()
    return data


def build(package: Package, epoch: int) -> bytes:
    """The .ipk file."""
    files = dict(package.files)
    control = {"control": File(_control(package, epoch).encode(), 0o644)}
    brought = [name for name in package.conffiles if name.lstrip("/") in files]
    if brought:
        control["conffiles"] = _lines(brought)
    # sysupgrade keeps the others too, although no package brings them.
    others = [name for name in package.conffiles if name not in brought]
    if others:
        kept = f"lib/upgrade/keep.d/{package.name}"
        own = files[kept].data.decode().splitlines() if kept in files else []
        files[kept] = _lines(list(dict.fromkeys([*own, *others])))
    for name in ("postinst", "prerm"):
        control[name] = File(_default_script(name).encode(), 0o755)
    for name, text in package.scripts.items():
        control[f"{name}-pkg" if name in control else name] = File(text.encode(), 0o755)
    parts = {
        "debian-binary": File(b"2.0\n", 0o644),
        "data.tar.gz": File(_targz(files, epoch), 0o644),
        "control.tar.gz": File(_targz(control, epoch), 0o644),
    }
    return _targz(parts, epoch)


def _lines(names: Sequence[str]) -> File:
    return File("".join(f"{name}\n" for name in names).encode(), 0o644)


def _control(package: Package, epoch: int) -> str:
    fields = {
        "Package": package.name,
        "Version": package.version,
        **package.fields,
        "Architecture": "all",
        "SourceDateEpoch": str(epoch),
        "Installed-Size": str(sum(len(file.data) for file in package.files.values())),
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def _default_script(name: str) -> str:
    """What OpenWrt's buildroot puts there: services and uci-defaults are handled by the router's own functions."""
    return (
        "#!/bin/sh\n"
        + ('[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0\n' if name == "postinst" else "")
        + "[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0\n"
        + ". ${IPKG_INSTROOT}/lib/functions.sh\n"
        + f"default_{name} $0 $@\n"
    )


def _targz(files: Mapping[str, File], epoch: int) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=epoch) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        directories = {str(parent) for name in files for parent in Path(name).parents}
        for name in sorted(directories | files.keys()):
            entry = tarfile.TarInfo("./" if name == "." else f"./{name}")
            entry.mtime, entry.uname, entry.gname = epoch, "root", "root"
            file = files.get(name)
            if file is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            else:
                entry.size, entry.mode = len(file.data), file.mode
                tar.addfile(entry, io.BytesIO(file.data))
    return packed.getvalue()


def source_date() -> int:
    """Seconds since 1970 that every file gets."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        argv = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        given = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return int(given)


def packages() -> list[Package]:
    """All of this project; the libraries too that the feeds of OpenWrt lack."""
    ours = Recipe(ROOT / "openwrt.mk")
    binding, client = (Recipe(ROOT / f"packages/python3-{name}/Makefile") for name in ("nftables", "prometheus-client"))
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "netpath/__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise RecipeError("netpath/__init__.py has no __version__")
    return [
        ours.package("netpath", found[1], netpath_files()),
        *(ours.package(f"netpath-{part}", found[1], separate_files(part)) for part in SEPARATE),
        ours.package("luci-app-netpath", found[1], luci_files()),
        *(ours.package(name, found[1], translations(name, *which)) for name, which in LANGUAGES.items()),
        binding.package("python3-nftables", binding.variable("PKG_VERSION"), binding_files(binding)),
        client.package("python3-prometheus-client", client.variable("PKG_VERSION"), client_files(client)),
    ]


def main(argv: list[str]) -> int:
    directory = Path(argv[0]) if argv else ROOT / "dist"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        epoch = source_date()
        for package in packages():
            path = directory / f"{package.name}_{package.version}_all.ipk"
            path.write_bytes(build(package, epoch))
            print(f"{path}  {path.stat().st_size} bytes")
    except (RecipeError, OSError, subprocess.SubprocessError, ValueError) as error:
        print(f"ipk: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
