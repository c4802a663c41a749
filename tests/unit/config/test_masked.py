# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left of a configuration for those who may not see its passwords."""

from __future__ import annotations

import json

from netpath.config.loading import sections_of
from netpath.config.masked import MASK, masked
from netpath.config.schema import SECTIONS

TEXT = """
config globals
	option loglevel 'info'

config interface 'wan'
	list track_targets '192.0.2.1'
	list track_targets '192.0.2.2'

config monitor 'monitor'
	option mqtt_username 'me'
	option mqtt_pasword 'SECRET'

config other 'x'
	option password 'SECRET'
"""


def test_what_is_no_secret_is_as_it_is_written() -> None:
    sections, _ = sections_of(TEXT, "netpath", "uci")
    assert masked(sections) == [
        {"type": "globals", "name": None, "options": {"loglevel": "info"}},
        {"type": "interface", "name": "wan", "options": {"track_targets": ["192.0.2.1", "192.0.2.2"]}},
        {"type": "monitor", "name": "monitor", "options": {"mqtt_username": "me", "mqtt_pasword": MASK}},
    ]


def test_no_secret_of_the_schema_is_left() -> None:
    secret = [(kind.name, name) for kind in SECTIONS.values() for o in kind.options if o.secret for name in o.names]
    assert ("notify", "url") in secret
    text = "".join(f"config {kind} 's{n}'\n\toption {name} 'SECRET'\n\tlist {name} 'SECRET'\n"
                   for n, (kind, name) in enumerate(secret))  # fmt: skip
    sections, _ = sections_of(text, "netpath", "uci")
    left = masked(sections)
    assert len(left) == len(secret)
    assert "SECRET" not in json.dumps(left)
