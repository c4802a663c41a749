# SPDX-License-Identifier: GPL-2.0-or-later
"""The bash completion script, made from the table of commands; the installed file is this text."""

from __future__ import annotations

from collections.abc import Iterator

from netpath.cli.commands import COMMANDS, GLOBAL, Argument, Command

_HEAD = """\
# SPDX-License-Identifier: GPL-2.0-or-later
# Made by `netpath completion bash`; do not edit.

_netpath_interfaces() {
    # compgen -W expands what it is given: only names that mean nothing to a shell are offered.
    netpath "$@" interfaces 2>/dev/null | sed -n 's/^ interface \\([A-Za-z0-9._-]*\\) is .*/\\1/p'
}

_netpath() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command= at=1 word words= files= interfaces= programs=
    local -a instance=()
    COMPREPLY=()
    while [ "$at" -lt "$COMP_CWORD" ]; do
        word=${COMP_WORDS[at]}
        case $word in
"""

_TAIL = """\
    esac
    [ -z "$interfaces" ] || words="$words $(_netpath_interfaces "${instance[@]}")"
    mapfile -t COMPREPLY < <(compgen -W "$words" ${files:+-A file} ${programs:+-A command} -- "$current")
}

complete -o filenames -F _netpath netpath
"""


def bash() -> str:
    """The whole script."""
    return _HEAD + "\n".join(_body()) + "\n" + _TAIL


def _body() -> Iterator[str]:
    places = "|".join(name for each in GLOBAL if "metavar" in each.settings for name in each.names)
    yield f'            {places}) instance+=("$word" "${{COMP_WORDS[at+1]}}"); at=$((at + 1)) ;;'
    yield "            -*) ;;"
    yield "            *) command=$word; break ;;"
    yield "        esac"
    yield "        at=$((at + 1))"
    yield "    done"
    yield "    case $previous in"
    # Arguments of one name take the same kind of value in every command.
    valued = sorted(
        {(" | ".join(a.names), a.completes) for a in _arguments() if _is_option(a) and "metavar" in a.settings}
    )
    for names, completes in valued:
        files = 'mapfile -t COMPREPLY < <(compgen -f -- "$current"); ' if completes == "file" else ""
        yield f"        {names}) {files}return ;;"
    yield "    esac"
    yield "    case $command in"
    yield f"        '') words='{_words([each.name for each in COMMANDS], GLOBAL)}' ;;"
    for each in COMMANDS:
        yield f"        {each.name}) {_offer(each)} ;;"


def _offer(command: Command) -> str:
    """What is offered after `command`."""
    positional = [a for a in command.arguments if not _is_option(a)]
    choices = [choice for a in positional for choice in a.settings.get("choices", ())]
    parts = [f"words='{_words(choices, (*command.arguments, *GLOBAL))}'"]
    parts += ["interfaces=1"] * any(a.completes == "interface" for a in positional)
    parts += ["files=1"] * any(a.completes == "file" for a in positional)
    if any(a.completes == "command" for a in positional):
        parts.append('; [ "$COMP_CWORD" -eq $((at + 1)) ] || words= interfaces= files=1 programs=1')
    return " ".join(parts)


def _words(first: list[str], arguments: tuple[Argument, ...]) -> str:
    return " ".join([*first, *(name for a in arguments if _is_option(a) for name in a.names)])


def _arguments() -> Iterator[Argument]:
    yield from GLOBAL
    for each in COMMANDS:
        yield from each.arguments


def _is_option(argument: Argument) -> bool:
    return argument.names[0].startswith("-")
