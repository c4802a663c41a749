# SPDX-License-Identifier: GPL-2.0-or-later
"""`python filtered.py SYSCALLS PROGRAM ...`: become PROGRAM with only these system calls, as systemd has it done.

SYSCALLS is a list with commas; the rest fails with EPERM, which is what `SystemCallFilter=` gives here as an error.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000  # seccomp.h of libseccomp


def main(names: list[str], program: list[str]) -> None:
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    context = lib.seccomp_init(_ERRNO | errno.EPERM)
    for name in names:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number >= 0 and lib.seccomp_rule_add(context, _ALLOW, number, 0):
            raise OSError(f"no rule for {name}")
    if lib.seccomp_load(context):
        raise OSError("the filter was not taken")
    os.execvp(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1].split(","), sys.argv[2:])
