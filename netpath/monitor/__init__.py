# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath monitor`: traffic of proxies, uplinks and other routers, broadcast, exported and told to people."""
