# SPDX-License-Identifier: GPL-2.0-or-later
"""Pure steering: marks and ids, slots, compiled rules, ruleset text, routes, ip rules, the plain interpreter."""
