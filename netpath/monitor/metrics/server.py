# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitor's part that answers Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from netpath.monitor.metrics import http, listener
from netpath.monitor.metrics.counts import Counts
from netpath.monitor.metrics.facts import Reader
from netpath.monitor.metrics.http import Request
from netpath.monitor.metrics.listener import Response
from netpath.monitor.metrics.scrape import Scraper
from netpath.monitor.tracker import Tracker
from netpath.monitoring import Listener
from netpath.tracker.journal import Log

PATH = "/metrics"
HINT = b"NetPath's figures for Prometheus are at /metrics.\nWhat they mean is in docs/monitor.md.\n"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS = f"{http.OPENMETRICS}; version=1.0.0; charset=utf-8"


class MetricsServer:
    """A Service (`netpath.monitor.readings`)."""

    def __init__(
        self,
        settings: Listener,
        tracker: Tracker,
        own: Callable[[], dict[str, Any]],
        nft_table: str,
        log: Log,
        *,
        bonds: Path | None = None,
    ) -> None:
        """`bonds`: the directory of bonds' sockets."""
        self._settings = settings
        self._tracker = tracker
        self._log = log
        self._counts = Counts()
        self._reader = Reader(tracker, own, nft_table, self._counts, bonds)
        self._port = settings.port
        self._scrapes = 0

    def row(self) -> dict[str, Any]:
        return {"addresses": list(self._settings.addresses), "port": self._port, "scrapes": self._scrapes}

    async def run(self, working: Callable[[], None]) -> None:
        """Serve until cancelled. Raises ServiceError."""
        sockets = listener.bind(self._settings.addresses, self._settings.port)
        self._port = sockets[0].getsockname()[1]  # with 0 the kernel has chosen one
        scraper = Scraper(self._reader, self._log)

        async def answer(request: Request) -> Response:
            try:
                response = await self._answer(request, scraper)
            except Exception as error:  # noqa: BLE001 - one request must not end the others
                self._log.internal(error, "metrics:")
                return HTTPStatus.INTERNAL_SERVER_ERROR, {"Content-Type": http.TEXT}, b"The log says why.\n"
            working()
            return response

        connections = listener.Listener(answer)
        tasks = [asyncio.create_task(connections.serve(each)) for each in sockets]
        tasks.append(asyncio.create_task(self._counts.follow(self._tracker)))
        try:
            working()
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await connections.close()
            await scraper.close()
            listener.close(sockets)

    async def _answer(self, request: Request, scraper: Scraper) -> Response:
        plain = {"Content-Type": http.TEXT}
        if request.path not in (PATH, "/"):
            return HTTPStatus.NOT_FOUND, plain, b"There is only /metrics here.\n"
        if request.method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, {**plain, "Allow": "GET, HEAD"}, b"Only GET and HEAD.\n"
        if request.path == "/":
            return HTTPStatus.OK, plain, HINT
        body = await scraper.text(open_metrics=request.open_metrics, compressed=request.compressed)
        self._scrapes += 1
        fields = {"Content-Type": _OPENMETRICS if request.open_metrics else _PROMETHEUS}
        fields["Vary"] = "Accept, Accept-Encoding"
        if request.compressed:
            fields["Content-Encoding"] = "gzip"
        return HTTPStatus.OK, fields, body
