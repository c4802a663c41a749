# SPDX-License-Identifier: GPL-2.0-or-later
"""As much of HTTP/1.1 as a scrape needs (RFC 9112): one request a connection, no body, no names of hosts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

LONGEST_HEAD = 8192
"""Bytes of a request with all its fields; Prometheus sends about 300."""

TEXT = "text/plain; charset=utf-8"
OPENMETRICS = "application/openmetrics-text"


class BadRequestError(Exception):
    """What came is answered with `status`."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    """Without what follows a question mark."""
    fields: Mapping[str, str]
    """Names in lower case; several of one name are one, with commas."""

    @property
    def open_metrics(self) -> bool:
        """Whether it takes OpenMetrics, which Prometheus prefers where it says so at all."""
        return _takes(self.fields.get("accept", ""), OPENMETRICS)

    @property
    def compressed(self) -> bool:
        return _takes(self.fields.get("accept-encoding", ""), "gzip")


def complete(data: bytes) -> bool:
    """Whether a whole request has come. Raises BadRequestError when it is too long."""
    if b"\r\n\r\n" in data or b"\n\n" in data:
        return True
    if len(data) >= LONGEST_HEAD:
        raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    return False


def parse(data: bytes) -> Request:
    """A request that is complete; what follows it is not looked at. Raises BadRequestError."""
    head = data.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode("latin-1")
    line, *rest = head.split("\n")
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[0].isalpha():
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    fields: dict[str, str] = {}
    for field in rest:
        name, colon, value = field.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        before = fields.get(name.lower())
        fields[name.lower()] = value.strip() if before is None else f"{before},{value.strip()}"
    return Request(words[0], words[1].partition("?")[0], fields)


def head(status: HTTPStatus, length: int, fields: Mapping[str, str]) -> bytes:
    """The beginning of a response with a body of `length` bytes, the last one of its connection."""
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    lines += [f"Content-Length: {length}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _takes(header: str, wanted: str) -> bool:
    """Whether an Accept field names `wanted` with a quality other than 0."""
    for each in header.split(","):
        name, *parameters = (part.strip().lower() for part in each.split(";"))
        if name == wanted:
            return not any(p.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for p in parameters)
    return False
