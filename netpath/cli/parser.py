# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line's grammar, made from the table of commands."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence

from netpath.cli.commands import COMMANDS, GLOBAL, Argument, Command

EXIT_CODES = "exit codes: 0 fine, 1 a problem or a negative answer, 2 wrong usage, 3 the tracker is not running"


def parse(argv: Sequence[str]) -> Namespace:
    """Options of one command line; `command_name` says which command. Exits with 2 on wrong usage, 0 after --help."""
    parser = ArgumentParser(
        prog="netpath",
        usage="netpath [OPTION...] COMMAND [ARGUMENT...]; netpath COMMAND --help tells more",
        description=f"Multi-WAN manager: tracks uplinks, balances and fails over connections.\n\n{overview()}",
        epilog=EXIT_CODES,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add(parser, GLOBAL)
    commands = parser.add_subparsers(dest="command_name", metavar="COMMAND", required=True, help=SUPPRESS)
    # Only the parser of the command at hand has its arguments filled in: that keeps `netpath status` quick.
    wanted = set(argv)
    for each in COMMANDS:
        sub = commands.add_parser(each.name, prog=f"netpath {each.name}", add_help=False, allow_abbrev=False)
        if each.name in wanted:
            _fill(sub, each)
    return parser.parse_args(argv)


def overview() -> str:
    """One line a command."""
    width = max(len(each.name) for each in COMMANDS)
    return "\n".join(["commands:", *(f"  {each.name:<{width}}  {each.summary}" for each in COMMANDS)])


def _fill(parser: ArgumentParser, command: Command) -> None:
    parser.description = command.summary
    parser.add_argument("-h", "--help", action="help", help="show this and exit")
    _add(parser, command.arguments)
    # Also after the command; SUPPRESS keeps a value given before it.
    _add(parser, GLOBAL, default=SUPPRESS)


def _add(parser: ArgumentParser, arguments: Sequence[Argument], **more: str) -> None:
    for each in arguments:
        parser.add_argument(*each.names, help=each.help, **{**each.settings, **more})
