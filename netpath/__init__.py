# SPDX-License-Identifier: GPL-2.0-or-later
"""NetPath: a multi-WAN manager for OpenWrt and any Linux router."""

__version__ = "0.1.0"
