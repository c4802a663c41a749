# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath monitor`: figures of proxies, uplinks and other routers, for displays, engines and people (docs/monitor.md).

A process of its own: nothing in it steers, and the tracker never waits for it.
"""

import asyncio  # noqa: F401  (whole, with TLS: before netpath.tracker, which brings it without)
