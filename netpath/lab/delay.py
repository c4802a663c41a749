# SPDX-License-Identifier: GPL-2.0-or-later
"""Delay packets in user space, for kernels without netem: `python -m netpath.lab.delay DEVICE MILLISECONDS [JITTER]`.

Makes the TUN device DEVICE, prints "ready", and hands each IP packet that the kernel sends into it back to the kernel
MILLISECONDS later, give or take up to JITTER milliseconds. At SIGTERM it takes no more, hands back what it holds, ends.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import signal
import struct
import sys
import time

TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def open_tun(name: str) -> int:
    """File descriptor of a new TUN device. Raises OSError where the kernel has none."""
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return handle


def relay(handle: int, delay: float, jitter: float, end: int) -> None:
    """Until something can be read from `end`; times in seconds."""
    waiting: list[tuple[float, int, bytes]] = []
    count, sources = 0, [handle, end]
    while waiting or sources:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            os.write(handle, heapq.heappop(waiting)[2])
        timeout = max(0.0, waiting[0][0] - now) if waiting else None
        ready = select.select(sources, [], [], timeout)[0] if waiting or sources else []
        if end in ready:
            sources = []
        elif ready:
            packet = os.read(handle, 65535)
            due = time.monotonic() + max(0.0, delay + random.uniform(-jitter, jitter))
            heapq.heappush(waiting, (due, count, packet))
            count += 1


def main() -> None:
    handle = open_tun(sys.argv[1])
    end, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGTERM, lambda *_: None)  # the wake-up byte in the pipe is all that is needed
    print("ready", flush=True)
    delay, jitter = (float(value) / 1000 for value in [*sys.argv[2:4], "0"][:2])
    relay(handle, delay, jitter, end)


if __name__ == "__main__":
    main()
