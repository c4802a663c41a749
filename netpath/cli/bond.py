# SPDX-License-Identifier: GPL-2.0-or-later
"""`netpath bond`: a tunnel's process in the foreground, invitations, and how the bonds are doing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from netpath.cli.bond_keys import genkey, genpsk, need_package, parsed, pubkey
from netpath.cli.bond_text import render_bonds
from netpath.cli.client import Reply, call
from netpath.cli.context import Context, accepted
from netpath.cli.errors import NOT_RUNNING, OK, PROBLEM, CommandError, NotRunningError, UsageError
from netpath.cli.text import Style, clean_reply, mapping, number, percent, rate, rows, show
from netpath.paths import BOND_SOCKET, Paths

REPLY_TIME = 5.0
BRIEF_TIME = 1.0
"""Seconds that `status` waits for a bond: its own answer is the tracker's."""


class BondNotRunningError(CommandError):
    """Nobody listens on the bond's socket."""

    code = NOT_RUNNING


def bond(context: Context) -> int:
    actions = {
        "client": run,
        "server": run,
        "status": status,
        "clean": clean,
        "genkey": genkey,
        "genpsk": genpsk,
        "pubkey": pubkey,
        "invite": invite,
    }
    return actions[context.options.action](context)


def run(context: Context) -> int:
    """One end in the foreground."""
    need_package()
    from netpath.bond.main import main

    options = context.options
    only = options.syslog_only
    return main(
        context.where,
        options.action,
        options.name,
        wait=options.wait,
        use_syslog=options.syslog or only,
        use_stderr=not only,
    )


# -- what killed ones leave ----------------------------------------------------------------------------------------


def clean(context: Context) -> int:
    """Remove what bonds have left that were killed, as services do when one has ended."""
    need_package()
    found = cleaned(context.where)
    for problem in (each for _, problems in found for each in problems):
        context.note(problem)
    names = [name for name, _ in found]
    text = f"removed what killed bonds had left: {', '.join(names)}" if names else "no killed bond has left anything"
    context.done(text, bonds=names)
    return PROBLEM if any(problems for _, problems in found) else OK


def cleaned(where: Paths) -> list[tuple[str, list[str]]]:
    """Names of bonds that were killed, of which nothing is left now but the problems; nothing without the package."""
    if not any(where.bond_dir.glob(f"{BOND_SOCKET}*.lock")) or find_spec("netpath.bond") is None:
        return []
    from netpath.bond.remains import clear

    return [(name, problems) for name, problems in clear(where)]


# -- a new client --------------------------------------------------------------------------------------------------


def invite(context: Context) -> int:
    """The sections of a new client, for both ends."""
    need_package()
    from netpath.cli import bond_invite

    options = context.options
    if options.name is None:
        raise UsageError("invite needs a name for the new client; example: netpath bond invite cabin")
    public = None if options.public_key is None else parsed("--public-key", options.public_key)
    found = bond_invite.invitation(context.where, options.name, options.bond, options.server, public)
    if context.json:
        context.print_json(found.as_dict())
    else:
        for note in found.notes:
            context.note(note)
        context.lines(found.text())
    return OK


# -- status ---------------------------------------------------------------------------------------------------------


def status(context: Context) -> int:
    """Of one bond, or of all that run."""
    name = context.options.name
    if name is not None:
        reply = _asked(context.where, name, REPLY_TIME)
        return context.answer(reply, lambda clean, style: render_bonds({"bonds": {name: clean}}, style))
    running = names(context.where)
    if not running:
        need_package()
        text = f"no bond is running (there is no {context.where.bond_dir}/{BOND_SOCKET}NAME.sock)"
        raise BondNotRunningError(f"{text}; start one with `netpath bond client` or /etc/init.d/netpath-bond")
    return context.answer({"bonds": dict(_answers(context.where, running, REPLY_TIME))}, render_bonds)


def names(where: Paths) -> list[str]:
    """Bonds whose sockets are there."""
    found = where.bond_dir.glob(f"{BOND_SOCKET}*.sock")
    return sorted(path.name.removeprefix(BOND_SOCKET).removesuffix(".sock") for path in found)


def _asked(where: Paths, name: str, timeout: float) -> Reply:
    path = where.bond_socket(name)
    try:
        return accepted(call(path, {"cmd": "bond"}, timeout))
    except NotRunningError:
        need_package()
        text = f"the bond {name} is not running (nothing answers on {path}); `netpath check` may tell why"
        raise BondNotRunningError(text) from None


def _answers(where: Paths, running: list[str], timeout: float) -> Iterator[tuple[str, Reply]]:
    for name in running:
        try:
            yield name, _asked(where, name, timeout)
        except CommandError as error:
            yield name, {"running": False, "error": str(error)}


def brief(where: Paths, style: Style) -> Iterator[str]:
    """Some lines for `netpath status`; none where no bond runs."""
    answers = clean_reply(dict(_answers(where, names(where), BRIEF_TIME)))
    if answers:
        yield ""
        yield "Bonds:"
    for name, reply in answers.items():
        if reply.get("error"):
            yield f" {name}: " + style.paint(show(reply["error"]), "red")
            continue
        if reply.get("problem"):
            yield f" {name}: " + style.paint(show(reply["problem"]), "red")
        for peer in rows(reply.get("peers")):
            paths = rows(peer.get("paths"))
            up = [path for path in paths if path.get("state") == "up"]
            out = sum(number(path.get("tx_rate")) or 0 for path in paths)
            into = sum(number(path.get("rx_rate")) or 0 for path in paths)
            who = name if reply.get("role") == "client" else f"{name}, client {show(peer.get('name'))},"
            by = f" by {len(up)} of {len(paths)} paths" if paths else ""
            figures = f": {rate(out)} up, {rate(into)} down, loss {percent(_worst(up))}" if up else ""
            yield f" {who} is {style.state(peer.get('state'))}{by}{figures}"
        if not rows(reply.get("peers")):
            yield f" {name} ({show(mapping(reply).get('role'))}) has no client"


def _worst(paths: list[Reply]) -> float | None:
    """Percent, of the path that loses most."""
    losses = [number(path.get(key)) for path in paths for key in ("loss_out", "loss_in")]
    return max((loss for loss in losses if loss is not None), default=None)
