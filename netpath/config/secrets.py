# SPDX-License-Identifier: GPL-2.0-or-later
"""Passwords, tokens and keys are in the file and nowhere else: problems, which go to logs and pages, quote none."""

from __future__ import annotations

import re
from dataclasses import replace

from netpath.config.kinds_bond import KEY
from netpath.config.problems import Problem
from netpath.config.schema_bond import BOND_SECTIONS
from netpath.config.schema_monitor import MONITOR_SECTIONS

_SECTIONS = {**MONITOR_SECTIONS, **BOND_SECTIONS}
_LOOKS_SECRET = re.compile(r"pass|pw|token|secret|key|url|://", re.IGNORECASE)


def hidden(problem: Problem, text: str = "") -> Problem:
    """The problem without a value that may be a secret. `text` is the file, for problems that name only a line.

    In the monitor's and the bond's sections an option whose name is not known may be a password with a slip in its
    name, and what does not belong to any option the end of one. A broken public key may be a private one in the wrong
    place.
    """
    if not problem.value:
        return problem
    if problem.section is None and problem.line and text:
        lines = text.split("\n")[problem.line - 1 : problem.line]
        secret = any(_LOOKS_SECRET.search(line) for line in lines)
    else:
        kind = _SECTIONS.get((problem.section or "").partition(" ")[0])
        option = kind.by_name.get(problem.option or "") if kind else None
        secret = kind is not None and (option is None or option.secret or option.kind is KEY)
    return replace(problem, value=None) if secret else problem
