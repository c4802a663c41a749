# SPDX-License-Identifier: GPL-2.0-or-later
"""The source for Clash against a real mihomo, whose program NETPATH_MIHOMO names (1.19.32 was tried)."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from netpath.monitor.readings import Proxy
from netpath.monitoring import SourceType
from tests.monitor.sources.running import failure, readings, source

VARIABLE = "NETPATH_MIHOMO"
CONFIG = """
mixed-port: {proxy}
allow-lan: false
mode: {mode}
log-level: warning
ipv6: false
external-controller: 127.0.0.1:{api}
secret: s3cret
geo-auto-update: false
dns: {{enable: false}}
proxies:
  - {{name: hop, type: socks5, server: 127.0.0.1, port: {next}}}
rules:
  - DST-PORT,{far},hop
  - MATCH,DIRECT
"""
SIZE = 300_000


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def start(directory: Path, mode: str, **ports: int) -> asyncio.subprocess.Process:
    directory.mkdir()
    (directory / "config.yaml").write_text(CONFIG.format(mode=mode, **ports))
    process = await asyncio.create_subprocess_exec(
        os.environ[VARIABLE], "-d", str(directory), stdout=asyncio.subprocess.DEVNULL
    )
    for port in (ports["proxy"], ports["api"]):
        async with asyncio.timeout(20):
            while True:
                try:
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                except OSError:
                    await asyncio.sleep(0.02)
    return process


async def fetch(proxy: int, port: int) -> None:
    """Gets SIZE bytes by CONNECT."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: it\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    assert len(await reader.read(-1)) == SIZE
    writer.close()


async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _part in range(10):
        writer.write(b"x" * (SIZE // 10))
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.close()


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"no mihomo: {VARIABLE} is not set")
def test_direct_and_proxied_downloads(tmp_path: Path) -> None:
    async def scene() -> None:
        near = await asyncio.start_server(serve, "127.0.0.1", 0)
        far = await asyncio.start_server(serve, "127.0.0.1", 0)
        near_port, far_port = (server.sockets[0].getsockname()[1] for server in (near, far))
        proxy, api, following, other = (free_port() for _ in range(4))
        rest = {"far": far_port}
        processes = [
            await start(tmp_path / "a", mode="rule", proxy=proxy, api=api, next=following, **rest),
            await start(tmp_path / "b", mode="direct", proxy=following, api=other, next=1, **rest),
        ]
        try:
            asked = source(SourceType.CLASH, f"127.0.0.1:{api}", token="s3cret")
            downloads: list[asyncio.Task[None]] = []

            async def more(number: int) -> None:
                if number == 1:
                    downloads.extend(
                        asyncio.create_task(fetch(proxy, port)) for port in (near_port, far_port, far_port)
                    )

            found = await readings(asked, 12, between=more)
            await asyncio.gather(*downloads)
            speeds = [reading for reading in found if isinstance(reading, Proxy)]
            assert sum(reading.direct_down for reading in speeds) * 0.1 == pytest.approx(SIZE, rel=0.3)
            assert sum(reading.proxy_down for reading in speeds) * 0.1 == pytest.approx(2 * SIZE, rel=0.3)
            assert speeds[-1].connections == 0
            assert "401" in await failure(source(SourceType.CLASH, f"127.0.0.1:{api}", token="wrong"))
        finally:
            for process in processes:
                process.kill()
                await process.wait()
            near.close()
            far.close()

    asyncio.run(scene())
