# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of bonds: `netpath bond genkey`, `genpsk` and `pubkey`, as WireGuard's commands, and files that hold them."""

from __future__ import annotations

import base64
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from netpath.cli.context import Context
from netpath.cli.errors import OK, CommandError, UsageError
from netpath.config.kinds_bond import KEY_BYTES

INSTALL = "apk add netpath-bond, opkg install netpath-bond, or elsewhere pip install 'netpath[bond]'"


def need_package() -> None:
    """Raises CommandError where the sub-package, or what it needs, is not installed."""
    if find_spec("netpath.bond") is None or find_spec("cryptography") is None:
        raise CommandError(f"the bond is not installed: {INSTALL}")


def genkey(context: Context) -> int:
    """A private key on standard output; with the name of a bond or a file, kept there, and its public key is said."""
    options = context.options
    if options.name is None and options.output is None:
        return _say_key(context, "private_key", os.urandom(KEY_BYTES))
    need_package()
    path: Path | None
    if options.output is not None:
        path = Path(options.output)
        key = _key_in(path)
    else:
        key, path = _key_of(context, options.name)
    made = key is None
    if key is None:
        assert path is not None  # else there is a key
        key = os.urandom(KEY_BYTES)
        _write_key(path, key)
    public = text_of(public_of(key))
    if context.json:
        given = {} if options.name is None else {"name": options.name}
        context.print_json({**given, "public_key": public, "file": None if path is None else str(path), "made": made})
    else:
        context.note(f"{path} {'is written' if made else 'is there already'}; its public key:")
        context.lines([public])
    return OK


def genpsk(context: Context) -> int:
    """A preshared key on standard output, or in a new file."""
    key = os.urandom(KEY_BYTES)
    if context.options.output is None:
        return _say_key(context, "preshared_key", key)
    path = Path(context.options.output)
    _write_key(path, key)
    return context.done(f"{path} is written", file=str(path))


def pubkey(context: Context) -> int:
    """The public key of the private key on standard input."""
    need_package()
    return _say_key(context, "public_key", public_of(parsed("standard input", sys.stdin.readline(4096))))


def _say_key(context: Context, name: str, key: bytes) -> int:
    if context.json:
        context.print_json({name: text_of(key)})
    else:
        context.lines([text_of(key)])
    return OK


def text_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


def public_of(private: bytes) -> bytes:
    """X25519's public key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def parsed(where: str, text: str) -> bytes:
    from netpath.config.kinds_bond import parse_key
    from netpath.config.values import BadValueError

    try:
        return parse_key(text.strip())
    except BadValueError as bad:
        raise CommandError(f"{where}: {bad.message}; {bad.fix}") from None


def _key_in(path: Path) -> bytes | None:
    """The key in a file; None where there is no such file."""
    try:
        return parsed(str(path), path.read_bytes()[:4096].decode("ascii", "replace"))
    except FileNotFoundError:
        return None


def _key_of(context: Context, name: str) -> tuple[bytes | None, Path | None]:
    """The key of a bond, and the file it is in or belongs in."""
    from netpath.config.bond import own_key
    from netpath.config.values import BadValueError, parse_name

    try:
        parse_name(name)
    except BadValueError as bad:
        raise UsageError(f"{name!r}: {bad.message}; {bad.fix}") from None
    found = own_key(context.where.config, name, context.where.keys_dir)
    if found.problems:
        raise CommandError(str(found.problems[0]))
    return found.key, found.file


def _write_key(path: Path, key: bytes) -> None:
    """A new file that only its owner may read. Raises CommandError."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text_of(key) + "\n")
            file.flush()
            os.fsync(descriptor)
    except FileExistsError:
        raise CommandError(f"{path} exists, and a lost key cannot be had back: choose another name") from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
