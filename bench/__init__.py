# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m bench`: NetPath's budgets beside what this machine measures. Not installed; needs root, like the lab."""
