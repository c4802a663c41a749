# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers for lab traffic, all in one process.

    python -m netpath.lab.servers --echo PORT... [--http PORT] [--https PORT CERTIFICATE KEY]

Echo: each UDP datagram and each TCP line is answered by "ADDRESS PORT " (the client's, as seen
here) and the bytes sent.
HTTP: `/` answers "ADDRESS PORT\\n", `/status/CODE` answers with that status, `/stream?rate=BYTES` sends that many bytes
a second until the client goes (without `rate`: as fast as it can; header X-Seen has "ADDRESS PORT ").
Prints "ready" once everything listens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import struct

IP_PKTINFO = 8  # linux/in.h; absent from some Pythons' socket module
BACKLOG = 4096
CHUNK = bytes(16384)


def seen(peer: tuple[str, int]) -> bytes:
    """How a server names its client."""
    return f"{peer[0]} {peer[1]} ".encode()


class UdpEcho:
    """One UDP port of one family on all local addresses; answers from the address that was asked."""

    def __init__(self, family: socket.AddressFamily, port: int) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        if family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self.socket.bind(("", port))

    def answer(self) -> None:
        """Answer everything that waits."""
        while True:
            try:
                data, control, _, peer = self.socket.recvmsg(65535, 256)
            except BlockingIOError:
                return
            # A reply may find no way back while a test breaks routes; the next request gets its own chance.
            with contextlib.suppress(OSError):
                self.socket.sendmsg([seen(peer[:2]) + data], [_same_source(c) for c in control], 0, peer)


def _same_source(control: tuple[int, int, bytes]) -> tuple[int, int, bytes]:
    """Turn the packet info of a request into that of its answer: same local address, any device."""
    level, kind, data = control
    if level == socket.IPPROTO_IP:
        _, _, address = struct.unpack("i4s4s", data)
        return level, kind, struct.pack("i4s4s", 0, address, bytes(4))
    return level, kind, data[:16] + struct.pack("i", 0)


async def tcp_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer line by line."""
    prefix = seen(writer.get_extra_info("peername")[:2])
    with contextlib.suppress(OSError):  # the client went away
        while line := await reader.readline():
            writer.write(prefix + line)
            await writer.drain()
    writer.close()


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request, then close."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):  # the client went away
        head = await reader.readuntil(b"\r\n\r\n")
        method, path = head.split(b" ", 2)[:2] if head.count(b" ") > 1 else (b"", b"")
        await _http_reply(writer, method.decode("latin-1"), path.decode("latin-1"))
        await writer.drain()
    writer.close()


async def _http_reply(writer: asyncio.StreamWriter, method: str, path: str) -> None:
    if path.startswith("/stream"):
        _, _, rate = path.partition("rate=")
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nX-Seen: %s\r\n\r\n"
        writer.write(head % seen(writer.get_extra_info("peername")[:2]))
        await _stream(writer, int(rate) if rate.isdigit() else 0)
        return
    status = path.removeprefix("/status/") if path.startswith("/status/") else "200"
    body = seen(writer.get_extra_info("peername")[:2]).strip() + b"\n"
    writer.write(f"HTTP/1.1 {status} Lab\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode())
    if method != "HEAD":
        writer.write(body)


async def _stream(writer: asyncio.StreamWriter, rate: int) -> None:
    chunk = CHUNK[: max(1, rate // 50)] if rate else CHUNK
    while True:
        writer.write(chunk)
        await writer.drain()
        await asyncio.sleep(len(chunk) / rate if rate else 0)  # the other servers want their turn too


async def serve(options: argparse.Namespace) -> None:
    """Listen on everything asked for, for ever."""
    loop = asyncio.get_running_loop()
    both = ["0.0.0.0", "::"]
    listening: list[object] = []
    for port in options.echo:
        for family in (socket.AF_INET, socket.AF_INET6):
            udp = UdpEcho(family, port)
            loop.add_reader(udp.socket, udp.answer)
            listening.append(udp)
        listening.append(await asyncio.start_server(tcp_echo, both, port, backlog=BACKLOG))
    if options.http:
        listening.append(await asyncio.start_server(http, both, options.http, backlog=BACKLOG))
    if options.https:
        import ssl

        port, certificate, key = options.https
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        listening.append(await asyncio.start_server(http, both, int(port), ssl=context, backlog=BACKLOG))
    print("ready", flush=True)
    await loop.create_future()


def main() -> None:
    parser = argparse.ArgumentParser(prog="netpath.lab.servers")
    parser.add_argument("--echo", type=int, nargs="*", default=[])
    parser.add_argument("--http", type=int)
    parser.add_argument("--https", nargs=3, metavar=("PORT", "CERT", "KEY"))
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
