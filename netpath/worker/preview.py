# SPDX-License-Identifier: GPL-2.0-or-later
"""Job `preview`: what of the router's mwan3 configuration NetPath would take over, as text. It writes nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netpath import paths
from netpath.config import import_mwan3
from netpath.worker.apply import foremost

MWAN3_CONFIG = "/etc/config/mwan3"
"""NETPATH_MWAN3 in the tracker's environment names another file; a request cannot."""
MOST_TEXT = 160 * 1024
"""Bytes; a text that is cut is no configuration, so a longer one is for `netpath import mwan3`."""
MOST_PROBLEMS = 200
"""With some 300 bytes each, a reply fits into what ubus takes (tracker/bounded.py)."""
MOST_SAID = 400
"""Characters of a value or a sentence of a problem; a hostile file must not crowd out the text."""


def preview(where: paths.Paths, request: Mapping[str, Any]) -> dict[str, Any]:
    """The native form with the number of its sections by type, and what there was to warn of, errors first.

    `text` is empty when nothing can be taken: there is no file (`found` is false), a problem is an error, or it would
    be too long (`truncated`).
    """
    del where, request
    file = os.environ.get("NETPATH_MWAN3") or MWAN3_CONFIG
    if not Path(file).exists():
        return {"found": False, "file": file, "text": "", "sections": {}, "problems": [], "truncated": False}
    imported = import_mwan3(Path(file))
    fits = len(imported.text.encode()) <= MOST_TEXT
    types = [line.split()[1] for line in imported.text.splitlines() if line.startswith("config ")]
    problems = [
        {key: _shortened(value) if isinstance(value, str) else value for key, value in problem.as_dict().items()}
        for problem in foremost(imported.problems, MOST_PROBLEMS)
    ]
    return {
        "found": True,
        "file": file,
        "text": imported.text if fits else "",
        "sections": dict(Counter(types)),
        "problems": problems,
        "truncated": not fits or len(imported.problems) > MOST_PROBLEMS,
    }


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_SAID else text[:MOST_SAID] + " ..."
