# SPDX-License-Identifier: GPL-2.0-or-later
"""Job `dnsmasq`: its file and restart, for the configuration that was just loaded.

Reply: {"warnings": [problem]}. A job of its own, after the load: dnsmasq may take its time to restart, and the tracker
must know what was loaded before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netpath import paths
from netpath.statedir import StateDir
from netpath.worker import domains
from netpath.worker.apply import read_source


def dnsmasq(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """Do the job."""
    del request
    state = StateDir(where.state_dir)
    config = read_source(where, state, from_file=False).loaded.config
    faults = domains.settle(state, config) if config is not None else []
    return {"warnings": [p.as_dict() for p in domains.as_problems(faults, str(where.config))]}
