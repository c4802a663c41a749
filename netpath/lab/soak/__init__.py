# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m netpath.lab.soak`: the demo's network with tracker, monitor and bond in it, for hours, with faults.

`schedule` (which fault when), `drift` (what the samples say) and `nftcount` are pure; `site` is what runs, `readings`
takes a sample of it, `run` plays the schedule.
"""
