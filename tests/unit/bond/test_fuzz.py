# SPDX-License-Identifier: GPL-2.0-or-later
"""A short run of the fuzzers; `python -m bench fuzz` is the long one. They say by themselves what must hold."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bondfuzz import TARGETS
from netpath.bond import handshake
from netpath.bond.handshake import Cipher, HandshakeError


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", list(TARGETS))
def test_nothing_is_raised_answered_or_kept(name: str, seed: int) -> None:
    target, part = TARGETS[name]
    target(Random(seed), part * 100)


fields = st.tuples(st.one_of(st.integers(0, 11), st.just(255), st.integers(0, 255)), st.binary(max_size=20))


@given(st.lists(fields, max_size=12), st.binary(max_size=3))
def test_payloads_of_handshakes_are_understood_or_refused(found: list[tuple[int, bytes]], rest: bytes) -> None:
    payload = handshake._fields(*found) + rest
    with suppress(HandshakeError):
        answer = handshake._answer(payload)
        assert answer.mtu >= handshake.LEAST_MTU and len(answer.run) == 8
    with suppress(HandshakeError):
        offer = handshake._offer(payload)
        with suppress(HandshakeError):
            assert handshake.agreed(offer, list(Cipher))[0] == 1


def test_the_document_names_tests_that_are_there() -> None:
    here = Path(__file__).parent
    document = (here.parents[2] / "docs/bond-protocol.md").read_text()
    defined = set(re.findall(r"^def (test_\w+)", "".join(each.read_text() for each in here.glob("*.py")), re.MULTILINE))
    named = set(re.findall(r"`(test_\w+)`", document))
    assert len(named) > 10 and named <= defined
