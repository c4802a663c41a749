# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration files -> `netpath.model.Config`, with every problem named: file, section, option, value and fix.

`load` and `loads` read UCI and TOML, `import_mwan3` and `to_uci` write NetPath's own UCI form, `mark_clashes` compares
a configuration with the marks that other programs use.
"""

from netpath.config.check import ForeignMark, guess_owner, mark_clashes
from netpath.config.loading import Imported, Loaded, import_mwan3, load, loads
from netpath.config.problems import Problem
from netpath.config.sections import Entry, Section
from netpath.config.write import to_uci

__all__ = [
    "Entry",
    "ForeignMark",
    "Imported",
    "Loaded",
    "Problem",
    "Section",
    "guess_owner",
    "import_mwan3",
    "load",
    "loads",
    "mark_clashes",
    "to_uci",
]
