# SPDX-License-Identifier: GPL-2.0-or-later
"""Translations: everything is extracted, translated, and readable for LuCI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import po  # noqa: E402

PO2LMO = os.environ.get("NETPATH_PO2LMO") or shutil.which("po2lmo")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A page and its translations, all of them there."""
    script = tmp_path / "htdocs/page.js"
    script.parent.mkdir()
    script.write_text("_('%d of %s');\nN_(n, '%d rule', '%d rules');\n")
    po.update(tmp_path)
    for language, (number, _) in po.PLURALS.items():
        path = po.language_file(tmp_path, language)
        text = path.read_text().replace('msgid "%d of %s"\nmsgstr ""', 'msgid "%d of %s"\nmsgstr "%d aus %s"')
        for form in range(number):
            text = text.replace(f'msgstr[{form}] ""', f'msgstr[{form}] "%d R{form}"')
        path.write_text(text)
    assert list(po.faults(tmp_path)) == []
    return tmp_path


def test_ours_are_complete() -> None:
    assert list(po.faults()) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('"%d aus %s"', '""', "not translated"),
        ('"%d aus %s"', '"%s aus %d"', "other placeholders"),
        ('"%d aus %s"', '"%d aus"', "other placeholders"),
        ('"%d aus %s"', '"%d aus %s "', "blanks"),
        ('"%d R0"', '""', "not translated"),
        ('"%d R0"', '"%s R0"', "other placeholders"),
        ('msgid "%d of %s"', 'msgid "%d or %s"', "stale"),
    ],
)
def test_what_is_wrong_is_found(project: Path, before: str, after: str, fault: str) -> None:
    path = po.language_file(project, "ru")
    path.write_text(path.read_text().replace(before, after))
    assert any("ru/netpath.po" in found and fault in found for found in po.faults(project))


def test_a_new_text_makes_the_template_stale_and_update_keeps_what_is_translated(project: Path) -> None:
    (project / "htdocs/page.js").write_text("_('%d of %s'); _('new one'); N_(n, '%d rule', '%d rules');\n")
    assert any(found.startswith(po.TEMPLATE) for found in po.faults(project))
    po.update(project)
    assert sorted(po.faults(project)) == [
        f"po/{name}/netpath.po: 'new one': not translated" for name in ("ru", "zh_Hans")
    ]


def texts(source: str) -> list[str]:
    return [message.text for message in po.texts_of_script(source)]


def test_texts_are_found_wherever_they_stand() -> None:
    assert texts("a(`x ${ _('in a ' + \"template\") } ${`${_('deeper')}`}`, /_('no')/, _('it\\'s  \\u00e9'))") == [
        "in a template",
        "deeper",
        "it's é",
    ]
    assert texts("// _('a')\n/* _('b') */ const s = \"_('c')\"; x._('d'); a / _('e') / 2") == ["e"]
    (plural,) = po.texts_of_script("N_(f(1, [2]), '%d x', '%d xs', 'ctx')")
    assert (plural.text, plural.plural, plural.context) == ("%d x", "%d xs", "ctx")


@pytest.mark.parametrize("source", ["_(title)", "_('a' + b)", "_(`a ${b}`)", "_('')", "N_(1, 'a')", "'abc"])
def test_what_cannot_be_extracted_is_refused(source: str) -> None:
    with pytest.raises(po.SourceError, match="1: "):
        texts(source)


def test_the_hash_is_luci_s() -> None:
    """Values that LuCI's own sfh (cbi.js) gives: each length modulo 4, and bytes above 127."""
    known = {
        "a": 0x115EA782, "ab": 0x516B8B44, "abc": 0xD2BE198A, "abcd": 0xDAD8B8DB,
        "é": 0xC4FBA554, "aé": 0xE3D9C55B, "abé": 0x8F08A63C, "Status": 0x663359C9,
    }  # fmt: skip
    assert {text: po.sfh(text.encode()) for text in known} == known


@pytest.mark.skipif(PO2LMO is None, reason="no po2lmo of LuCI: NETPATH_PO2LMO is not set")
@pytest.mark.parametrize("language", po.PLURALS)
def test_catalogues_are_those_of_luci_s_own_program(language: str, tmp_path: Path) -> None:
    path = po.language_file(ROOT, language)
    assert PO2LMO is not None
    subprocess.run([PO2LMO, str(path), str(tmp_path / "real.lmo")], check=True)
    assert po.lmo(po.read(path.read_text(encoding="utf-8"))) == (tmp_path / "real.lmo").read_bytes()
