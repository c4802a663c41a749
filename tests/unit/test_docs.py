# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents claim: commands, options, files, tables. A document that is not true any more fails here."""

from __future__ import annotations

import base64
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from netpath import paths, statedir
from netpath.cli.commands import COMMANDS
from netpath.cli.parser import parse
from netpath.cli.service import RUN_LOG
from netpath.config import loads
from netpath.config.bond import loads_bonds
from netpath.config.monitor import loads_monitor
from netpath.config.schema import INTERFACE, OTHER_SECTIONS
from netpath.health.transitions import TABLE
from netpath.model import Config, Uplink
from netpath.steering.routing import desired
from netpath.tracker.arguments import METHODS

ROOT = Path(__file__).parents[2]
GENERATED = ("options.md", "benchmarks.md")
DOCUMENTS = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").glob("*.md") if p.name not in GENERATED)]
EXAMPLES = [ROOT / "examples/netpath.uci", ROOT / "examples/config.toml"]
NAMES = {command.name for command in COMMANDS}
GOLDEN = ROOT / "tests/unit/steering/golden"

document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)


def blocks(text: str, *languages: str) -> Iterator[str]:
    """Contents of the fenced blocks in these languages."""
    for language, content in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language in languages:
            yield content


def spans(text: str) -> list[str]:
    """What stands between backticks in the prose."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


def rows(text: str, heading: str) -> list[list[str]]:
    """Cells of the table whose first row is `heading`."""
    lines = text.partition(f"{heading}\n")[2].splitlines()[1:]
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    assert table, f"there is no table with the heading {heading!r}"
    return table


@document
def test_commands_in_blocks_are_understood(path: Path) -> None:
    for block in blocks(path.read_text(), "sh"):
        for line in block.splitlines():
            if line.startswith("netpath "):
                # In an aligned list, what follows three spaces is a remark.
                parse(shlex.split(re.split(r"\s{3,}", line)[0])[1:])


@document
def test_commands_in_the_prose_exist(path: Path) -> None:
    for span in spans(path.read_text()):
        for word in re.findall(r"(?:^|; )netpath ([a-z]+)", span):
            assert word in NAMES, span
        if span.startswith("netpath "):
            command = next(c for c in COMMANDS if c.name == span.split()[1])
            known = {name for argument in command.arguments for name in argument.names} | {"--json"}
            if command.name != "use":
                given = {word for word in shlex.split(span)[2:] if word.startswith("-")}
                assert given <= known, span


@document
def test_files_that_are_named_exist(path: Path) -> None:
    named = r"(?<![\w/.<-])((?:docs|examples|tests|tools|netpath|bench|steering|health|kernel|probe)/[\w./-]*\w)"
    for name in re.findall(named, path.read_text()):
        found = [(root / name).exists() for root in (ROOT, ROOT / "netpath")]
        assert any(found), f"{path.name} names {name}"
    for name in re.findall(r"\]\((?!http)([^)#]+)", path.read_text()):
        assert (path.parent / name).exists(), f"{path.name} links to {name}"


@document
@pytest.mark.parametrize("language", ["config", "toml"])
def test_configurations_load(path: Path, language: str) -> None:
    """The first block of a document stands alone; the others are added to it, above its rule for everything."""
    found = list(blocks(path.read_text(), language))
    for more in ("", "\n".join(found[1:])) if found else ():
        first, rule, last = found[0].partition("config rule" if language == "config" else "[rules.")
        loaded = loads(f"{first}{more}{rule}{last}", format="toml" if language == "toml" else "uci")
        assert loaded.config is not None, [str(p) for p in loaded.problems]
        assert not [str(p) for p in loaded.problems if "never matches" in p.message or "unknown" in p.message]


@document
@pytest.mark.parametrize("language", ["config", "toml"])
def test_configurations_of_the_monitor_load_each_by_itself(path: Path, language: str) -> None:
    for block in blocks(path.read_text(), language):
        loaded = loads_monitor(block, format="toml" if language == "toml" else "uci")
        assert loaded.monitor is not None, [str(p) for p in loaded.problems]
        assert not [str(p) for p in loaded.problems if "unknown" in p.message]


@document
@pytest.mark.parametrize("language", ["config", "toml"])
def test_configurations_of_bonds_load(path: Path, language: str, tmp_path: Path) -> None:
    """Those of one document together; keys that are in no option are in files."""
    text = "\n".join(blocks(path.read_text(), language))
    for name in re.findall(r"config bond '(\w+)'|\[bonds\.(\w+)\]", text):
        (tmp_path / f"{''.join(name)}.key").write_text(base64.b64encode(bytes(range(32))).decode())
        (tmp_path / f"{''.join(name)}.key").chmod(0o600)
    loaded = loads_bonds(text, format="toml" if language == "toml" else "uci", keys=tmp_path)
    assert loaded.problems == ()


def test_the_guide_says_the_same_in_both_formats() -> None:
    text = (ROOT / "docs/guide.md").read_text()
    uci, toml = (next(blocks(text, language)) for language in ("config", "toml"))
    assert loads(uci, format="uci").config == loads(toml, format="toml").config


@document
def test_config_blocks_are_marked_as_such(path: Path) -> None:
    """Else the tests above would not look at them."""
    unmarked = [b for b in blocks(path.read_text(), "") if re.search(r"^(config \w+ '|\[\w+)", b, re.MULTILINE)]
    assert not unmarked


@document
def test_options_in_the_prose_exist(path: Path) -> None:
    known = {o.name for kind in (INTERFACE, *OTHER_SECTIONS.values()) for o in kind.options}
    for span in spans(path.read_text()):
        if match := re.fullmatch(r"option (\w+) '[^']*'", span):
            assert match[1] in known | {"enabled"}, span


def test_the_tracking_defaults_are_those_of_the_schema() -> None:
    table = rows((ROOT / "docs/guide.md").read_text(), "| option | default | what it means |")
    for names, default, _ in table:
        for name in re.findall(r"`(\w+)`", names):
            option = INTERFACE.by_name[name]
            if option.default is not None:
                assert default == option.default, name
            else:
                assert default in option.default_note, (name, option.default_note)


def test_the_state_machine_is_the_table() -> None:
    written = {tuple(r) for r in rows((ROOT / "docs/architecture.md").read_text(), "| state | event | next state |")}
    real = {(str(old), event.value, str(new)) for old, moves in TABLE.items() for event, new in moves.items()}
    assert written == real


def test_every_ip_rule_is_in_the_table() -> None:
    written = {row[0] for row in rows((ROOT / "docs/architecture.md").read_text(), "| priority | rule | why |")}
    config, uplinks = _two_uplinks()
    real = {str(rule.priority) for rule in desired(config, uplinks).rules}
    assert {p.removesuffix("..") for p in written} == real | {"6001"}


def test_every_chain_is_described() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    real = {_kind(c) for golden in GOLDEN.glob("*.txt") for c in re.findall(r"\bchain (\S+) \{", golden.read_text())}
    described = set(re.findall(r"`([^`\n]+)`", text))
    assert real - described == set()
    gone = {c for c in described if re.fullmatch(r"(in|set|w|r|rest|pol|sk)_\S+|\w+_[46]", c)} - real - {"source_6"}
    assert gone <= {"st_<rule>_<4|6>_K", "NAME_4", "NAME_6"}


def test_every_file_of_the_state_directory_is_described() -> None:
    written = {
        name
        for row in rows((ROOT / "docs/architecture.md").read_text(), "| file | holds |")
        for name in re.findall(r"`([^`]+)`", row[0])
    }
    fixed = {
        statedir.IDS,
        statedir.STATES,
        statedir.RULESET,
        statedir.PLACES,
        statedir.SYSCTLS,
        statedir.POLICIES,
        statedir.USAGE,
        statedir.DNSMASQ,
        RUN_LOG,
    }
    lock = paths.locate({}, {}).lock.name
    assert written == fixed | {lock, "applied.uci", "applied.toml"}


def test_marks_tables_and_priorities_of_the_guide() -> None:
    cells = {row[0]: row[1] for row in rows((ROOT / "docs/guide.md").read_text(), "| what | NetPath's | changed by |")}
    config, uplinks = _two_uplinks()
    assert f"`{config.globals.mark_mask:#x}`" in cells["bits of packet and connection marks"]
    assert f"`inet {config.globals.nft_table}`" in cells["nftables"]
    first, last = map(int, re.findall(r"\d{4}", cells["routing tables"]))
    assert {route.table for route in desired(config, uplinks).routes} <= set(range(first, last + 1))
    first, last = map(int, re.findall(r"\d{4}", cells["ip rules"]))
    assert {rule.priority for rule in desired(config, uplinks).rules} <= set(range(first, last + 1))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_examples_load_without_a_word(path: Path) -> None:
    loaded = loads(path.read_text(), file=path.name, format="toml" if path.suffix == ".toml" else "uci")
    assert loaded.config is not None
    assert not [p for p in loaded.problems if p.severity == "error"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
@pytest.mark.parametrize(("name", "command"), [("netpath", "run"), ("netpath-monitor", "monitor run")])
def test_systemd_accepts_the_units(tmp_path: Path, name: str, command: str) -> None:
    text = (ROOT / f"examples/{name}.service").read_text()
    program = re.search(rf"^ExecStart=(\S+) {command}$", text, re.MULTILINE)
    assert program is not None
    unit = tmp_path / f"{name}.service"
    unit.write_text(text.replace(program[1], "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f" {program[1]}\n" in (ROOT / "docs/guide.md").read_text(), "the guide installs it somewhere else"


def test_every_test_that_the_security_review_names_exists() -> None:
    text = (ROOT / "docs/security.md").read_text()
    named = set(re.findall(r"(tests/[\w/]+\.py)::(\w+)", text))
    assert len(named) > 60
    assert {n for n in named if not re.search(rf"^def {n[1]}\(", (ROOT / n[0]).read_text(), re.MULTILINE)} == set()
    whole = {path.name for path in (ROOT / "tests/security").glob("test_*.py")} - {
        name.rpartition("/")[2] for name, _ in named
    }
    assert whole == set(), "tests that no statement names"


def test_every_verb_and_argument_is_described() -> None:
    for document, call in (("socket.md", '`{{"cmd":"{}"'), ("ubus.md", "| `{}`")):
        rows = [line for line in (ROOT / "docs" / document).read_text().splitlines() if line.startswith("| `")]
        for verb, arguments in METHODS.items():
            told = [row for row in rows if call.format(verb) in row]
            whole = [row for row in told if all(f"`{each}" in row or f'"{each}"' in row for each in arguments)]
            assert whole, f"{document}: {verb} and its arguments {', '.join(arguments)}"


def test_the_licence_is_the_official_text() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.lstrip().startswith("GNU GENERAL PUBLIC LICENSE\n                       Version 2, June 1991")
    assert "END OF TERMS AND CONDITIONS" in text


def test_every_needed_package_is_documented() -> None:
    setup = (ROOT / "tools/setup").read_text()
    packages = set(re.findall(r"^\t?need \S+ (\S+)$", setup, re.MULTILINE))
    documented = (ROOT / "docs/dependencies.md").read_text().rpartition("## Used for development")[2]
    assert {p for p in packages if p not in documented} == set()


def _kind(chain: str) -> str:
    """A chain's name as docs/architecture.md writes it."""
    if re.fullmatch(r"(in|set|w|nat6)_\d+", chain):
        return re.sub(r"\d+$", "K", chain)
    for prefix, written in (("r_", "r_<rule name>_<4|6>"), ("pol_", "pol_<policy>_<4|6>"), ("sk_", "sk_<rule>_<4|6>")):
        if chain.startswith(prefix):
            return written
    return chain


def _two_uplinks() -> tuple[Config, list[Uplink]]:
    text = "config interface 'wan'\n\toption ifname 'eth1'\nconfig interface 'lte'\n\toption ifname 'wwan0'\n"
    config = loads(text).config
    assert config is not None
    uplinks = [
        Uplink("wan", 1, "ipv4", "eth1", "192.0.2.1", ("192.0.2.10/24",), True, ("192.0.2.0/24",)),
        Uplink("lte", 2, "ipv4", "wwan0", None, ("198.51.100.7/32",), False, ()),
    ]
    return config, uplinks
