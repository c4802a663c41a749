# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints docs/options.md, the reference of all options, from the schema: `python -m netpath.config.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from netpath.config import kinds, kinds_monitor
from netpath.config.option import Option, SectionKind
from netpath.config.schema import SECTIONS
from netpath.config.times import show_size
from netpath.config.values import show_duration

_INTRODUCTION = """\
# Options

This file is printed by `python -m netpath.config.reference` from the table that the readers use; do not edit it.

NetPath reads `/etc/config/netpath` (UCI) or a `.toml` file. Both hold the same sections and options:

| UCI | TOML |
|---|---|
| `config globals 'globals'` | `[global]` |
| `config interface 'wan'` | `[interfaces.wan]` |
| `config member 'wan_m1'` | `[members.wan_m1]` |
| `config policy 'balanced'` | `[policies.balanced]` |
| `config rule 'https'` | `[rules.https]`, or `[[rules]]` with `name = "https"` |
| `config monitor 'monitor'` | `[monitor]` |
| `config source 'proxy'` | `[sources.proxy]` |
| `config notify 'mail'` | `[notify.mail]` |
| `config bond 'home'` | `[bonds.home]` |
| `config bond_link 'home_dsl'` | `[bond_links.home_dsl]` |
| `config bond_peer 'cabin'` | `[bond_peers.cabin]` |
| `config bond_rule 'calls'` | `[bond_rules.calls]` |

* In TOML the options marked *track* may also stand in `[interfaces.NAME.track]`, there without the prefix `track_`:
  `method`, `targets`, `interval`, and so on.
* mwan3's names are understood everywhere, so a copied `/etc/config/mwan3` works as it is. `netpath import mwan3` writes
  it with NetPath's names. A file in which all the options that the two call differently have mwan3's names is read as
  mwan3 reads it: an interface without `enabled` is off.
* A **yes or no** is `1`/`0`, `true`/`false`, `yes`/`no`, `on`/`off`, `enabled`/`disabled`.
* A **duration** is in seconds (`5`, `0.2`) or has a unit: `200ms`, `5s`, `10m`, `1h`.
* A **list** is several `list` lines, or one `option` with the items separated by spaces; networks, ports, protocols,
  devices, MAC addresses and code points may be separated by commas too. Where the table says *!*, an item may be
  negated: `!192.0.2.0/24` matches everything but that network.
* A **rate** is in bits (`50mbit`, `50Mbit/s`, `50Mbps`, `1.5gbit`) or in bytes (`6MB/s`); k, M and G are thousands, and
  a number without a unit is refused. A **key** is what `netpath bond genkey`, `pubkey` or `genpsk` prints, 44
  characters.
* Ports: `443`, `8000-8100` or `8000:8100`, `1024:`. Networks: `192.0.2.0/24`, `2001:db8::/32`, or with any mask
  `0.0.0.1/0.0.0.1`.
* Names of sections have up to 64 letters, digits, `_`, `.` and `-`; the `uci` command knows only letters, digits
  and `_`, and wants a name only once in the whole file.
* `netpath check` reports everything that is wrong with a file at once.
"""


def reference() -> str:
    """The whole text of docs/options.md."""
    return "\n".join([_INTRODUCTION, *("\n".join(_section(kind)) for kind in SECTIONS.values())])


def _section(kind: SectionKind) -> Iterator[str]:
    yield f"## {kind.name}: `config {kind.name}`, TOML `[{kind.toml}{'' if kind.single else '.NAME'}]`\n"
    yield f"{kind.help}\n"
    mwan3 = any(option.mwan3 for option in kind.options)
    yield "| option | type | default | what it does |" + mwan3 * " in mwan3 |"
    yield "|---|---|---|---|" + mwan3 * "---|"
    for option in kind.options:
        if not option.ignored:
            yield _row(option, mwan3=mwan3)
    ignored = [f"`{', '.join(o.names)}` ({o.ignored})" for o in kind.options if o.ignored]
    yield f"\nAccepted without effect: {'; '.join(ignored)}.\n" if ignored else ""


def _row(option: Option, *, mwan3: bool) -> str:
    names = ", ".join(f"`{name}`" for name in (option.name, *option.aliases))
    cells = [names, _type(option), _default(option), option.help]
    if mwan3:
        cells.append(f"`{option.mwan3}`" if option.mwan3 else "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(option: Option) -> str:
    parts = [option.kind.label]
    if option.choices:
        parts = [
            ("address, " if option.kind is kinds_monitor.URL else "any of " if option.kind.is_list else "")
            + ", ".join(f"`{choice}`" for choice in option.choices)
        ]
        if option.spellings:
            parts.append("also " + ", ".join(f"`{other}` = `{choice}`" for other, choice in option.spellings.items()))
    elif option.high:
        parts.append(_range(option))
    if option.kind.negatable:
        parts.append("*!*")
    if option.tracking:
        parts.append("*track*")
    return "; ".join(parts)


def _range(option: Option) -> str:
    if option.kind in (kinds.DURATION, kinds.WHOLE_SECONDS):
        return f"{show_duration(option.low)} to {show_duration(option.high)}"
    if option.kind is kinds.SIZE:
        return f"{show_size(int(option.low))} to {show_size(int(option.high))}"
    return f"{option.low:g} to {int(option.high)}" + (f" {option.unit}" if option.unit else "")


def _default(option: Option) -> str:
    if option.required:
        return "**required**"
    return option.default_note or f"`{option.default}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
