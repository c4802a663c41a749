# SPDX-License-Identifier: GPL-2.0-or-later
"""Translations of the LuCI pages; standard library only.

`python3 tools/po.py update`: collect every text, write po/templates/netpath.pot, and bring po/LANGUAGE/netpath.po up to
date (new texts get an empty translation, texts that are gone go). `check`: say what is missing or wrong, exit code 1
when there is anything. `lmo FILE.po FILE.lmo`: what LuCI reads on the router.

Texts are what stands in `_('...')` and `N_(number, 'one', 'many')` in htdocs/, and titles and descriptions of menu and
access list in root/. LuCI takes runs of white space for one blank; so does this program.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = "po/templates/netpath.pot"
PLURALS: Mapping[str, tuple[int, str]] = {
    "ru": (3, "n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2"),
    "zh_Hans": (1, "0"),
}
"""Language -> number of plural forms, and which one a number takes."""

_STRING = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL)
_REGEX = re.compile(r"/(?![*/])(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_SPACE = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_$][\w$]*|\d[\w.]*")
_BEFORE_REGEX = frozenset("(,=:[!&|?{};+-*%<>~^") | {"return", "typeof", "case", "in", "of", "=>", ""}
_JSON_TEXTS = ("title", "description")
_PLACEHOLDER = re.compile(r"%(?:'.|0| )?-?\d*(?:\.\d+)?[%bcdufosxXqhjtm]|\{\w+\}")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}


class SourceError(Exception):
    """A file is not as this program reads it; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    """"string", "word" or "sign"."""
    text: str
    """Of a string: its value."""
    at: int


@dataclass(frozen=True, slots=True)
class Message:
    text: str
    plural: str | None = None
    context: str | None = None
    places: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    """Translations: one, or one for each plural form; empty ones are missing."""

    @property
    def key(self) -> tuple[str, str]:
        return (self.text, self.context or "")


# -- reading sources -----------------------------------------------------------------------------------------------


def tokens(source: str, at: int = 0, *, inner: bool = False) -> Iterator[Token]:
    """Words, strings and signs of JavaScript from `at` on; with `inner` up to the brace that closes a `${`.

    The last token of an inner run is that brace. Raises SourceError with the position of what cannot be read.
    """
    depth, last = 0, ""
    while at < len(source):
        if space := _SPACE.match(source, at):
            at = space.end()
            continue
        char = source[at]
        if char == "`":
            end = yield from _template(source, at)
            last, at = "`", end
            continue
        if char in "'\"":
            found = _STRING.match(source, at)
            if found is None:
                raise SourceError(f"{_line(source, at)}: a string without end")
            yield Token("string", _value(found[0][1:-1]), at)
            last, at = "'", found.end()
            continue
        if char == "/" and last in _BEFORE_REGEX and (found := _REGEX.match(source, at)):
            last, at = ")", found.end()
            continue
        found = _WORD.match(source, at)
        text = found[0] if found else char
        yield Token("word" if found else "sign", text, at)
        depth += (text == "{") - (text == "}")
        if inner and depth < 0:
            return
        last, at = text, at + len(text)


def _template(source: str, at: int) -> Generator[Token, None, int]:
    """The tokens of a template literal; returns where it ends."""
    begin, at = at, at + 1
    plain = []
    while at < len(source) and source[at] != "`":
        if source[at] == "\\":
            plain.append(source[at : at + 2])
            at += 2
        elif source.startswith("${", at):
            for token in tokens(source, at + 2, inner=True):
                yield token
                at = token.at + 1
            plain.append("\0")
        else:
            plain.append(source[at])
            at += 1
    text = "".join(plain)
    yield Token("sign", "`", begin) if "\0" in text else Token("string", _value(text), begin)
    return at + 1


def _line(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1


def _value(literal: str) -> str:
    def one(found: re.Match[str]) -> str:
        escape = found[1]
        if escape[0] in "ux" and len(escape) > 1:
            return chr(int(escape[1:].strip("{}"), 16))
        return _ESCAPES.get(escape, escape)

    return re.sub(r"\\(u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", one, literal, flags=re.DOTALL)


def texts_of_script(source: str) -> Iterator[Message]:
    """Every text of a script. Raises SourceError for one that cannot be told without running it."""
    found = list(tokens(source))
    for number, token in enumerate(found[:-1]):
        before = found[number - 1].text if number else ""
        called = token.kind == "word" and token.text in ("_", "N_") and found[number + 1].text == "("
        if not called or found[number + 1].kind != "sign" or before in (".", "function"):
            continue
        given = list(_arguments(found, number + 2))
        plural = token.text == "N_"
        words = [_literal(argument) for argument in given[1 if plural else 0 :]]
        if len(words) < (2 if plural else 1) or None in words:
            raise SourceError(f"{_line(source, token.at)}: {token.text}() wants texts, not what is computed")
        texts = [_spaced(word or "") for word in words]
        if texts[0] == "":
            raise SourceError(f"{_line(source, token.at)}: {token.text}() with an empty text")
        context = texts[2 if plural else 1 :]
        yield Message(texts[0], texts[1] if plural else None, context[0] if context else None)


def _arguments(found: Sequence[Token], at: int) -> Iterator[list[Token]]:
    """The tokens of each argument from `at` on."""
    depth, argument = 0, list[Token]()
    for token in found[at:]:
        sign = token.text if token.kind == "sign" else ""
        if sign in (")", "]", "}"):
            if depth == 0:
                break
            depth -= 1
        elif sign in ("(", "[", "{"):
            depth += 1
        if sign == "," and depth == 0:
            yield argument
            argument = []
        else:
            argument.append(token)
    if argument:
        yield argument


def _literal(argument: Sequence[Token]) -> str | None:
    """The value of strings joined by +; None for anything else."""
    if len(argument) % 2 == 0 or any(t.kind != "string" for t in argument[::2]):
        return None
    if any(t.kind != "sign" or t.text != "+" for t in argument[1::2]):
        return None
    return "".join(t.text for t in argument[::2])


def _spaced(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def texts_of_json(value: object) -> Iterator[Message]:
    """Titles and descriptions, at any depth."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name in _JSON_TEXTS and isinstance(each, str):
                yield Message(_spaced(each))
            else:
                yield from texts_of_json(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of_json(each)


def collect(root: Path = ROOT) -> list[Message]:
    """Every text with the files that it is in, in alphabetical order. Raises SourceError."""
    found: dict[tuple[str, str], Message] = {}
    scripts = sorted((root / "htdocs").rglob("*.js"))
    lists = sorted([*root.glob("root/**/menu.d/*.json"), *root.glob("root/**/acl.d/*.json")])
    for path in [*scripts, *lists]:
        place, source = str(path.relative_to(root)), path.read_text(encoding="utf-8")
        try:
            messages = list(texts_of_script(source) if path.suffix == ".js" else texts_of_json(json.loads(source)))
        except (SourceError, ValueError) as error:
            raise SourceError(f"{place}:{error}") from error
        for message in messages:
            known = found.get(message.key, message)
            if message.plural is not None and known.plural not in (None, message.plural):
                raise SourceError(f"{place}: {message.text!r} has two plurals")
            places = known.places if place in known.places else (*known.places, place)
            found[message.key] = replace(known, plural=known.plural or message.plural, places=places)
    return sorted(found.values(), key=lambda m: (m.text.casefold(), m.text, m.context or ""))


# -- .po files -----------------------------------------------------------------------------------------------------


def render(messages: Sequence[Message], language: str | None) -> str:
    """The text of a .po file, or with None of the template."""
    head = ["Content-Type: text/plain; charset=UTF-8"]
    if language is not None:
        number, formula = PLURALS[language]
        head = [f"Language: {language}", *head, f"Plural-Forms: nplurals={number}; plural=({formula});"]
    lines = ['msgid ""', 'msgstr ""', *(f'"{line}\\n"' for line in head)]
    for message in messages:
        lines += ["", *(f"#: {place}" for place in message.places)]
        if message.context is not None:
            lines.append(f"msgctxt {_quoted(message.context)}")
        lines.append(f"msgid {_quoted(message.text)}")
        if message.plural is None:
            lines.append(f"msgstr {_quoted(message.forms[0] if message.forms else '')}")
        else:
            lines.append(f"msgid_plural {_quoted(message.plural)}")
            forms = message.forms or ("", "") if language is None else _padded(message.forms, PLURALS[language][0])
            lines += [f"msgstr[{i}] {_quoted(form)}" for i, form in enumerate(forms)]
    return "\n".join(lines) + "\n"


def _padded(forms: tuple[str, ...], number: int) -> tuple[str, ...]:
    return (*forms, *[""] * number)[:number]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def read(text: str) -> list[Message]:
    """The messages of a .po file, its head (the one with the empty text) among them. Raises SourceError."""
    messages = []
    for block in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            found = re.fullmatch(r'(?:(msg\w+(?:\[\d\])?)\s+)?"((?:[^"\\]|\\.)*)"', line.strip())
            if found:
                name = found[1] or name
                fields[name] = fields.get(name, "") + _value(found[2])
            elif line.strip() and not line.startswith("#"):
                raise SourceError(f"not a line of a .po file: {line}")
        if "msgid" in fields:
            forms = tuple(value for name, value in sorted(fields.items()) if name.startswith("msgstr"))
            places = tuple(line[3:].strip() for line in block.splitlines() if line.startswith("#: "))
            plural, context = fields.get("msgid_plural"), fields.get("msgctxt")
            messages.append(Message(fields["msgid"], plural, context, places, forms))
    return messages


def language_file(root: Path, language: str) -> Path:
    return root / "po" / language / "netpath.po"


def merged(texts: Sequence[Message], old: Sequence[Message]) -> list[Message]:
    """`texts` with the translations that `old` has of them."""
    known = {message.key: message for message in old if message.text}
    return [
        replace(text, forms=known[text.key].forms)
        if text.key in known and known[text.key].plural == text.plural
        else text
        for text in texts
    ]


def update(root: Path = ROOT) -> None:
    """Write the template and bring every language up to date."""
    texts = collect(root)
    files = {root / TEMPLATE: render(texts, None)}
    for language in PLURALS:
        path = language_file(root, language)
        old = read(path.read_text(encoding="utf-8")) if path.exists() else []
        files[path] = render(merged(texts, old), language)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


# -- checking ------------------------------------------------------------------------------------------------------


def placeholders(text: str) -> list[str]:
    """What is filled in, in its order, which is that of the arguments."""
    return [found for found in _PLACEHOLDER.findall(text) if found != "%%"] + ["%%"] * text.count("%%")


def faults(root: Path = ROOT) -> Iterator[str]:
    """What is stale, missing or wrong, one sentence each."""
    texts = collect(root)
    template = root / TEMPLATE
    if not template.exists() or template.read_text(encoding="utf-8") != render(texts, None):
        yield f"{TEMPLATE} is stale: run python3 tools/po.py update"
    for language, (number, _) in PLURALS.items():
        path = language_file(root, language)
        name = path.relative_to(root)
        if not path.exists():
            yield f"{name} is missing"
            continue
        written = path.read_text(encoding="utf-8")
        messages = read(written)
        if written != render(merged(texts, messages), language):
            yield f"{name} is stale: run python3 tools/po.py update"
        for message in messages:
            if message.text:
                yield from (f"{name}: {message.text!r}: {fault}" for fault in _wrong(message, number))


def _wrong(message: Message, number: int) -> Iterator[str]:
    wanted = number if message.plural is not None else 1
    if len(message.forms) != wanted or not all(message.forms):
        yield "not translated"
        return
    allowed = [placeholders(text) for text in (message.text, message.plural) if text is not None]
    for form in message.forms:
        if placeholders(form) not in allowed:
            yield f"{form!r} has other placeholders"
        if form != form.strip() or "\n" in form:
            yield f"{form!r} has blanks around it, or a line break"


# -- what LuCI reads -----------------------------------------------------------------------------------------------


def sfh(data: bytes) -> int:
    """The hash by which LuCI finds a text: Paul Hsieh's SuperFastHash, http://www.azillionmonkeys.com/qed/hash.html"""
    if not data:
        return 0
    value, rest = len(data), len(data) & 3
    for low, high in struct.iter_unpack("<HH", data[: len(data) - rest]):
        value = value + low & 0xFFFFFFFF
        value = (value << 16 ^ (high << 11 ^ value)) & 0xFFFFFFFF
        value = value + (value >> 11) & 0xFFFFFFFF
    tail = data[len(data) - rest :]
    if rest >= 2:
        value = value + int.from_bytes(tail[:2], "little") & 0xFFFFFFFF
    if rest == 3:
        value ^= value << 16 & 0xFFFFFFFF
        value = (value ^ _signed(tail[2]) << 18) & 0xFFFFFFFF
        value = value + (value >> 11) & 0xFFFFFFFF
    elif rest == 2:
        value = (value ^ value << 11) & 0xFFFFFFFF
        value = value + (value >> 17) & 0xFFFFFFFF
    elif rest == 1:
        value = value + _signed(tail[0]) & 0xFFFFFFFF
        value = (value ^ value << 10) & 0xFFFFFFFF
        value = value + (value >> 1) & 0xFFFFFFFF
    for left, right in ((3, 5), (4, 17), (25, 6)):
        value = (value ^ value << left) & 0xFFFFFFFF
        value = value + (value >> right) & 0xFFFFFFFF
    return value


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def lmo(messages: Sequence[Message]) -> bytes:
    """The messages in the form of LuCI's po2lmo: texts padded to four bytes, then an index sorted by hash (hash, number
    of forms, offset, length; big-endian), then the offset of the index. Entry 0 is the rule for plurals.
    """
    entries, data = [], b""
    for message in messages:
        for number, form in enumerate(message.forms):
            text = form.encode()
            if not message.text:
                rule = re.search(r"^Plural-Forms: (.*)$", form, re.MULTILINE)
                if rule is None:
                    continue
                key, count, text = 0, 0, rule[1].encode()
            else:
                name = message.text if message.context is None else f"{message.context}\1{message.text}"
                key, count = sfh((name if message.plural is None else f"{name}\2{number}").encode()), len(message.forms)
                if not text or key == sfh(text):  # LuCI falls back to the original
                    continue
            entries.append((key, count, len(data), len(text)))
            data += text + bytes(-len(text) % 4)
    return data + b"".join(struct.pack(">4I", *entry) for entry in sorted(entries)) + struct.pack(">I", len(data))


def main(argv: Sequence[str]) -> int:
    try:
        if list(argv) == ["update"]:
            update()
        if argv and argv[0] in ("update", "check") and len(argv) == 1:
            found = list(faults())
            print("\n".join(found), file=sys.stderr, end="\n" if found else "")
            return 1 if found and argv[0] == "check" else 0
        if len(argv) == 3 and argv[0] == "lmo":
            Path(argv[2]).write_bytes(lmo(read(Path(argv[1]).read_text(encoding="utf-8"))))
            return 0
    except (SourceError, OSError) as error:
        print(f"po: {error}", file=sys.stderr)
        return 1
    print("usage: po.py update | check | lmo FILE.po FILE.lmo", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
