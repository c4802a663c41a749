# SPDX-License-Identifier: GPL-2.0-or-later
"""Random sequences of faults under live traffic, with rules that must hold whatever happens: docs/testing.md."""
