# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath bond`: several uplinks as one encrypted tunnel. What goes over the wire is in docs/bond-protocol.md."""
