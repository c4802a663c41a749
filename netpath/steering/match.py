# SPDX-License-Identifier: GPL-2.0-or-later
"""nft text of compiled blocks: the part of a rule that matches, and verdict maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from socket import AF_INET, AF_INET6, inet_ntop

from netpath.steering.boxes import Box, Condition, Interval, Spans, others, top
from netpath.steering.compile import MapBlock, PlainRule
from netpath.steering.names import device, domain_set, user_set

_KEYS = {
    "iface": "iifname",
    "mac": "ether saddr",
    "proto": "meta l4proto",
    "sport": "th sport",
    "dport": "th dport",
}
_NAMES = ("iface", "mac")


def block_lines(block: MapBlock | PlainRule, family: str, chain_of: Callable[[int], str]) -> list[str]:
    """nft rules of `block`; `chain_of` names a rule's chain by its index. Raises ValueError for an odd device name."""
    if isinstance(block, PlainRule):
        chain = chain_of(block.rule)
        return [" ".join([*(_condition(c, family) for c in line), f"goto {chain}"]) for line in block.lines]
    columns = list(zip(*(box for box, _ in block.elements), strict=True))
    varied = [at for at, column in enumerate(columns) if column.count(column[0]) < len(column)]
    # What all have in common is asked once, and first: for most packets that is cheaper than to look anything up.
    common = [
        f"{_condition(Condition(field, 'in', (columns[at][0],)), family)} "
        for at, field in enumerate(block.fields)
        if at not in varied
    ]
    keys = " . ".join(_key(block.fields[at], family) for at in varied)
    written = [map(_writer(block.fields[at], family), columns[at]) for at in varied]
    elements = [
        f"{' . '.join(key)} : goto {chain_of(rule)}"
        for key, (_, rule) in zip(zip(*written, strict=True), block.elements, strict=True)
    ]
    sieve = _sieve([(block.fields[at], columns[at]) for at in varied], family)
    return [f"{''.join(common)}{sieve}{keys} vmap {{ {', '.join(elements)} }}"]


def _sieve(columns: Sequence[tuple[str, Box]], family: str) -> str:
    """A look at one field by itself, before a map of several with intervals, which costs six times as much.

    Most packets are meant for none of a map's rules. Only a field of single values will do (a hash finds those), and
    neither protocol nor device, by which most packets look alike.
    """
    single = [(field, column) for field, column in columns if all(first == last for first, last in column)]
    exact = [(field, column) for field, column in single if field not in ("proto", "iface")]
    if not exact or len(single) == len(columns):
        return ""
    field, column = max(exact, key=lambda each: len(set(each[1])))
    return f"{_key(field, family)} {_set(field, tuple(sorted(set(column))), family)} "


def address(value: int, family: str) -> str:
    """An address in its usual spelling."""
    if family == "ipv4":
        return inet_ntop(AF_INET, value.to_bytes(4, "big"))
    return inet_ntop(AF_INET6, value.to_bytes(16, "big"))


def _key(field: str, family: str) -> str:
    return _KEYS.get(field) or f"{'ip' if family == 'ipv4' else 'ip6'} {field}"


def _condition(condition: Condition, family: str) -> str:
    field, key = condition.field, _key(condition.field, family)
    match condition.kind:
        case "in":
            return f"{key} {_any_of(field, condition.spans, family)}"
        case "out":
            # In the output hook the device name is empty, which differs from every name: only what came in counts.
            came_in = "iif != 0 " if field == "iface" else ""
            return f"{came_in}{key} != {_set(field, condition.spans, family)}"
        case "member":
            return f"{key} @{user_set(condition.name, family)}"
        case "domain":
            return f"{key} @{domain_set(condition.name, family)}"
        case kind:
            mask, value = address(condition.mask, family), address(condition.value, family)
            return f"{key} & {mask} {'==' if kind == 'masked' else '!='} {value}"


def _any_of(field: str, spans: Spans, family: str) -> str:
    """Spans, or `!=` the gaps between them where that is shorter to say."""
    if field not in _NAMES:
        gaps = others(spans, top(field, family))
        if len(gaps) < len(spans):
            return f"!= {_set(field, gaps, family)}"
    return _set(field, spans, family)


def _set(field: str, spans: Spans, family: str) -> str:
    write = _writer(field, family)
    if len(spans) == 1:
        return write(spans[0])
    return f"{{ {', '.join(map(write, spans))} }}"


def _writer(field: str, family: str) -> Callable[[Interval], str]:
    if field in ("saddr", "daddr"):
        return lambda interval: _addresses(interval, family)
    return {"iface": _device, "mac": _mac}.get(field, _numbers)


def _addresses(interval: Interval, family: str) -> str:
    first, last = interval
    if first == last:
        return address(first, family)
    host_bits = first ^ last
    if host_bits & (host_bits + 1) == 0 and first & host_bits == 0:
        return f"{address(first, family)}/{(32 if family == 'ipv4' else 128) - host_bits.bit_length()}"
    return f"{address(first, family)}-{address(last, family)}"


def _numbers(interval: Interval) -> str:
    first, last = interval
    return str(first) if first == last else f"{first}-{last}"


def _device(interval: Interval) -> str:
    value = interval[0]
    return device(value.to_bytes((value.bit_length() + 7) // 8, "big").decode())


def _mac(interval: Interval) -> str:
    return interval[0].to_bytes(6, "big").hex(":")
