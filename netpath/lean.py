# SPDX-License-Identifier: GPL-2.0-or-later
"""asyncio without OpenSSL. The tracker imports this module before anything else.

`import asyncio` imports `ssl`, which maps OpenSSL: 4.4 of the 20 MiB of the tracker, for streams that it never opens.
asyncio copes with a Python that has no `ssl`, so it is shown one: a None in `sys.modules` makes `import ssl` raise
ImportError while asyncio loads. The entry is removed right after, so that an HTTPS target can still import `ssl` later.
"""

from __future__ import annotations

import sys

if "asyncio" not in sys.modules and "ssl" not in sys.modules:
    sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        import asyncio  # noqa: F401
    finally:
        del sys.modules["ssl"]
