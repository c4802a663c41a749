# SPDX-License-Identifier: GPL-2.0-or-later
"""libnftables, kept open: one context serves every transaction of a process (a fresh one costs 8 ms)."""

from __future__ import annotations

import errno
import json
import os
import time
from types import TracebackType
from typing import Any

_ATTEMPTS = 6
_PAUSE = 0.005
"""Seconds before the second attempt, doubled for each further one: 0.16 s in all."""
_TRANSIENT = tuple(
    os.strerror(number) for number in (errno.EINTR, errno.EAGAIN, errno.EBUSY, errno.ENOBUFS, errno.ERESTART)
)
"""What libnftables says when somebody else (firewall reload) changed the ruleset at the same moment."""
_EXCERPT = 500


class NftError(Exception):
    """libnftables or the kernel refused a ruleset (nothing of it was applied), or the library is missing."""

    def __init__(self, message: str, excerpt: str = "") -> None:
        super().__init__(message)
        self.excerpt = excerpt
        """The beginning of the text that was refused."""


class Nft:
    """A libnftables context. Not for use by several threads at once. Raises NftError when there is no library."""

    def __init__(self) -> None:
        try:
            import nftables
        except ImportError:
            raise NftError(
                "the Python module `nftables` is missing: install the package python3-nftables (pip: pip-nftables)"
            ) from None
        import ctypes

        try:
            self._functions = ctypes.CDLL("libnftables.so.1")
        except OSError as error:
            raise NftError(
                f"libnftables is missing ({error}): install libnftables1 (Debian) or nftables-json (OpenWrt)"
            ) from None
        # The binding of nft 1.0.2 has no method for it; the library has had the function since 0.9.1.
        self._functions.nft_ctx_set_dry_run.argtypes = [ctypes.c_void_p, ctypes.c_bool]
        self._functions.nft_ctx_set_dry_run.restype = None
        self._library: Any = nftables.Nftables()
        self._fills_chains: bool | None = None

    def __enter__(self) -> Nft:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the context; no call after this one."""
        self._library = None

    def run(self, text: str) -> None:
        """Apply nft commands in one transaction: all or nothing. Raises NftError."""
        pause = _PAUSE
        for attempt in range(_ATTEMPTS):
            problem = self._command(text)[1]
            if not problem:
                self._forget()
                return
            if not any(words in problem for words in _TRANSIENT) or attempt == _ATTEMPTS - 1:
                raise NftError(problem, text[:_EXCERPT])
            time.sleep(pause)
            pause *= 2

    def check(self, text: str) -> None:
        """Whether `run` would succeed: the kernel tries it and changes nothing. Raises NftError."""
        self._dry_run(on=True)
        try:
            self.run(text)
        finally:
            self._dry_run(on=False)

    def listing(self, family: str, table: str) -> str:
        """A table as nft prints it; empty when there is none. Raises NftError."""
        output, problem = self._command(f"list table {family} {table}")
        if problem and os.strerror(errno.ENOENT) not in problem:
            raise NftError(problem)
        return output

    def fills_chains(self) -> bool:
        """Whether rules within `add chain` are added: libraries before 1.0.7 drop them without a word.

        Distributions have mended older ones, so it is tried (once, and nothing is changed).
        """
        if self._fills_chains is None:
            try:
                self.check("add table inet netpath-try\nadd chain inet netpath-try one {\ngoto nowhere\n}\n")
                self._fills_chains = False
            except NftError as error:
                self._fills_chains = os.strerror(errno.ENOENT) in str(error)
        return self._fills_chains

    def version(self) -> str:
        """Version of the library, such as "1.0.6"; "unknown" when it was built without JSON."""
        self._library.set_json_output(True)
        try:
            output, problem = self._command("list tables")
        finally:
            self._library.set_json_output(False)
        if problem or not output.startswith("{"):
            return "unknown"
        return str(json.loads(output)["nftables"][0]["metainfo"]["version"])

    def _command(self, text: str) -> tuple[str, str]:
        """(output, what went wrong or nothing)."""
        code, output, error = self._library.cmd(text.encode(errors="surrogateescape"))
        problem = error.decode(errors="replace").strip() or f"libnftables failed with {code}"
        return output.decode(errors="replace"), problem if code else ""

    def _forget(self) -> None:
        """Let go of what libnftables has read of the ruleset: half a MiB a table, of everybody's tables.

        It would keep that until its next command, and then throw it away because the change just made is news. After a
        dry run it lets go at once (nft_run_cmd_from_buffer in libnftables.c), so it gets one of nothing: 16 us.
        """
        self._dry_run(on=True)
        try:
            self._command("")
        finally:
            self._dry_run(on=False)

    def _dry_run(self, *, on: bool) -> None:
        self._functions.nft_ctx_set_dry_run(self._library._Nftables__ctx, on)


def version() -> str:
    """Version of libnftables. Raises NftError when it is missing."""
    with Nft() as nft:
        return nft.version()
