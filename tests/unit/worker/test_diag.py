# SPDX-License-Identifier: GPL-2.0-or-later
"""What `diag` makes of the tracker's status rows; the rest of it is tried in tests/lab."""

from __future__ import annotations

from typing import Any

import pytest

from netpath.worker import diag

WELL: dict[str, Any] = {
    "status": "online",
    "up": True,
    "tracking": "active",
    "reason": "answers again",
    "track_ip": [{"ip": "192.0.2.1", "status": "up"}],
}
SILENT = [{"ip": "192.0.2.1", "status": "down"}]


@pytest.mark.parametrize(
    ("row", "status", "message"),
    [
        ({}, "ok", "wan is online"),
        ({"status": "disabled", "tracking": "disabled"}, "ok", "wan is disabled"),
        ({"status": "offline", "track_ip": SILENT, "reason": "no answer"}, "error", "wan is offline: no answer"),
        ({"status": "offline", "up": False, "track_ip": SILENT}, "warning", "wan is offline: its link is down"),
        ({"status": "offline", "up": False, "tracking": "none", "track_ip": []}, "warning", "its link is down"),
        ({"status": "connecting", "reason": "answers"}, "warning", "wan is connecting: answers"),
        ({"status": "disconnecting", "reason": "late"}, "warning", "wan is disconnecting: late"),
        ({"track_ip": [*SILENT, {"ip": "192.0.2.2", "status": "up"}]}, "warning", "no answer from 192.0.2.1"),
        ({"tracking": "none", "track_ip": []}, "warning", "wan is not tracked"),
    ],
)
def test_only_what_is_well_is_called_ok(row: dict[str, Any], status: str, message: str) -> None:
    (check,) = diag._tracking({"wan": WELL | row})
    assert (check["status"], message in check["message"]) == (status, True), check
    assert bool(check["remedy"]) == (status != "ok")
