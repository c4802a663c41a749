# SPDX-License-Identifier: GPL-2.0-or-later
"""What nft's `log` writes: the kernel log, which belongs to the first network namespace.

Packets of other namespaces are logged only while net.netfilter.nf_log_all_netns is 1 (nf_log_syslog). The setting is
one for the whole machine: it is locked while a test uses it, and put back.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netpath.lab.namespace import Unavailable

_ALL_NAMESPACES = Path("/proc/sys/net/netfilter/nf_log_all_netns")
_KMSG = "/dev/kmsg"
_RECORD = 8192
"""Bytes that hold any one record: CONSOLE_EXT_LOG_MAX of linux/printk.h."""


class KernelLog:
    """Messages from when it was opened on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._seen: list[str] = []

    def lines(self, prefix: str) -> list[str]:
        """All messages so far that begin with `prefix`, without it."""
        while True:
            try:
                record = os.read(self._fd, _RECORD)
            except BlockingIOError:
                break
            except BrokenPipeError:  # some were overwritten before we read them
                continue
            self._seen.append(record.decode(errors="replace").partition(";")[2].partition("\n")[0])
        return [line.removeprefix(prefix) for line in self._seen if line.startswith(prefix)]


@contextmanager
def kernel_log() -> Iterator[KernelLog]:
    """The kernel log with the messages of all network namespaces. Raises Unavailable where it cannot be had."""
    try:
        lock, fd = _ALL_NAMESPACES.open(), os.open(_KMSG, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise Unavailable(f"the kernel log of other network namespaces cannot be read: {error}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = _ALL_NAMESPACES.read_text()
        try:
            os.lseek(fd, 0, os.SEEK_END)
            _ALL_NAMESPACES.write_text("1\n")
            yield KernelLog(fd)
        finally:
            _ALL_NAMESPACES.write_text(before)
            os.close(fd)
