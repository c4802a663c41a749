# SPDX-License-Identifier: GPL-2.0-or-later
"""`python filtered.py SYSCALLS FAMILIES PROGRAM ...`: become PROGRAM with only these system calls, as systemd has it
done, and sockets of these families only.

Both are lists with commas. The rest fails with EPERM, which is what `SystemCallFilter=` gives here as an error, and
with EAFNOSUPPORT, as `RestrictAddressFamilies=` has it; "-" restricts no families.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000  # seccomp.h of libseccomp
_EQUAL = 4
_MOST_FAMILIES = 64


class _Compare(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def main(names: list[str], families: list[str], program: list[str]) -> None:
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    context = lib.seccomp_init(_ERRNO | errno.EPERM)
    lib.seccomp_rule_add_array.argtypes = [*lib.seccomp_rule_add.argtypes, ctypes.POINTER(_Compare)]
    opened = lib.seccomp_syscall_resolve_name(b"socket")
    for name in names:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number == opened and families != ["-"]:
            continue
        if number >= 0 and lib.seccomp_rule_add(context, _ALLOW, number, 0):
            raise OSError(f"no rule for {name}")
    if families != ["-"]:
        allowed = {int(getattr(socket, family)) for family in families}
        for family in range(_MOST_FAMILIES):
            what = _ALLOW if family in allowed else _ERRNO | errno.EAFNOSUPPORT
            same = _Compare(0, _EQUAL, family, 0)
            if lib.seccomp_rule_add_array(context, what, opened, 1, ctypes.byref(same)):
                raise OSError(f"no rule for sockets of family {family}")
    if lib.seccomp_load(context):
        raise OSError("the filter was not taken")
    os.execvp(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1].split(","), sys.argv[2].split(","), sys.argv[3:])
