"""Words: nothing untranslated, placeholders kept, scripts and templates speak through the catalogue."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from builders import an_exchange

from mapex.audit import Action
from mapex.licences import LICENCES, HandlingClass, Purpose
from mapex.pricing import Unit
from tiles.batch import LayerKind
from web import create_app, i18n, words

WEB = Path(words.__file__).parent
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def catalogue() -> dict[str, Message]:
    with (WEB / "translations" / "ko" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return {str(message.id): message for message in read_po(file) if message.id}


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    target = tmp_path_factory.mktemp("words") / "all.pot"
    command = [
        sys.executable,
        "-m",
        "babel.messages.frontend",
        "-q",
        "extract",
        "-F",
        "babel.cfg",
        "-k",
        "lazy_gettext",
        "-o",
        str(target),
        ".",
    ]
    subprocess.run(command, cwd=WEB, check=True)
    with target.open("rb") as file:
        return {str(message.id) for message in read_po(file) if message.id}


def test_korean_has_every_sentence_and_no_other(extracted: set[str]) -> None:
    assert set(catalogue()) == extracted


def test_no_sentence_is_empty_or_fuzzy_and_placeholders_are_kept() -> None:
    for source, message in catalogue().items():
        assert message.string and not message.fuzzy, source
        assert sorted(PLACEHOLDER.findall(source)) == sorted(PLACEHOLDER.findall(str(message.string))), source


def test_every_sentence_of_scripts_is_in_the_catalogue() -> None:
    # Babel does not see calls inside nested template literals; what the page is given must all be translated.
    assert set(i18n._messages(0)) <= set(catalogue())


def test_scripts_have_no_html_and_no_eval() -> None:
    for path in (WEB / "static" / "js").glob("**/*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), path.name
        assert text.startswith("// @ts-check"), path.name


def test_templates_have_no_inline_script_style_or_handler() -> None:
    for path in (WEB / "templates").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:|\| *safe(?! }}</script>)", text), path.name


def test_vocabularies_have_a_word_for_each_code() -> None:
    assert set(words.KINDS) == {kind.value for kind in LayerKind}
    assert set(words.CLASSES) == {code.value for code in HandlingClass}
    assert set(words.PURPOSES) == {purpose.value for purpose in Purpose}
    assert set(words.UNITS) == {unit.value for unit in Unit}
    assert set(words.ACTIONS) == {action.value for action in Action}


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_licences_have_five_lines_in_each_language(tmp_path: Path, lang: str) -> None:
    app = create_app(an_exchange(tmp_path / "ex"))
    with app.test_request_context(f"/?lang={lang}"):
        for code in LICENCES:
            lines = words.licence_words(code)["lines"]
            assert len(lines) == 5
            assert any(re.search("[가-힣]", line) for line in lines) == (lang == "ko")


def test_language_is_asked_then_remembered_then_preferred(tmp_path: Path) -> None:
    client = create_app(an_exchange(tmp_path / "ex")).test_client()
    assert b'lang="en"' in client.get("/login").data
    assert b'lang="ko"' in client.get("/login", headers={"Accept-Language": "ko-KR,ko;q=0.9"}).data
    assert b'lang="ko"' in client.get("/login?lang=ko").data
    assert b'lang="ko"' in client.get("/login", headers={"Accept-Language": "en"}).data
    assert b'lang="ko"' in client.get("/login?lang=xx").data


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (1234.0, "1,234"), (4.17649, "4.176"), (0.000026, "2.6e-05"), (12.5, "12.5")])
def test_numbers_for_people(value: float, text: str) -> None:
    assert words.number(value) == text
