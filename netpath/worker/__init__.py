# SPDX-License-Identifier: GPL-2.0-or-later
"""Transient workers: one job, one JSON object on standard output, exit.

`python -m netpath.worker JOB` reads the job's arguments as one JSON object from standard input. The tracker starts
them for everything that needs the whole configuration or much memory, `apply` as a copy of itself
(`netpath.tracker.copies`); the command line uses some directly.
"""
