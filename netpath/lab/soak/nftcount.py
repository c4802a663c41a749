# SPDX-License-Identifier: GPL-2.0-or-later
"""How much there is in a ruleset, from `nft -j list ruleset` (libnftables-json(5)). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any


def count(document: Mapping[str, Any]) -> dict[str, int]:
    """tables, chains, rules, sets (maps too), elements (of those whose content is configured), dynamic elements (of
    those that packets fill, which go by themselves)."""
    found: Counter[str] = Counter()
    for entry in document["nftables"]:
        for kind, item in entry.items():
            if kind in ("table", "chain", "rule"):
                found[f"{kind}s"] += 1
            elif kind in ("set", "map"):
                found["sets"] += 1
                dynamic = {"dynamic", "timeout"} & {*_words(item.get("flags", ()))}
                found["dynamic elements" if dynamic else "elements"] += len(item.get("elem", ()))
    return {name: found[name] for name in ("tables", "chains", "rules", "sets", "elements", "dynamic elements")}


def _words(flags: Any) -> list[str]:
    """nft writes a single flag without its list."""
    return [flags] if isinstance(flags, str) else list(flags)
