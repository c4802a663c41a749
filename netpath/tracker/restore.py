# SPDX-License-Identifier: GPL-2.0-or-later
"""Put a ruleset back at once, in a forked copy of the tracker.

A worker needs longer before it has loaded anything, and until then nothing is steered.
"""

from __future__ import annotations

import sys

from netpath.kernel.nft import Nft, NftError
from netpath.tracker import copies


async def restore(text: str) -> bool:
    """Load `text`, a whole ruleset, in one transaction. False when it was refused (why is on standard error)."""
    return await copies.ended(copies.start(lambda: _load(text), 1, 2)) == 0


def _load(text: str) -> int:
    try:
        with Nft() as nft:  # its own context: the tracker's has no socket here
            nft.run(text)
    except NftError as error:
        print(
            f"netpath error: the last ruleset cannot be loaded again: {str(error)[:500]}", file=sys.stderr, flush=True
        )
        return 1
    return 0
