# SPDX-License-Identifier: GPL-2.0-or-later
"""The only room that talks to the kernel's network stack. Everything acts on the calling thread's network namespace."""
