"""Words: nothing untranslated, placeholders kept, scripts and templates speak through the catalogue."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import Babel

from mapex.audit.log import Action
from mapex.database import failpoints
from mapex.rules.licences import LICENCES, HandlingClass, Purpose
from mapex.rules.pricing import Unit
from tests.support.exchange import an_exchange
from tiles.batch import LayerKind
from tiles.formats import FORMATS
from web import create_app
from web.words import findings, language, licences, numbers, units, vocabulary

WEB = Path(vocabulary.__file__).parents[1]
PLACEHOLDER = re.compile(r"%\(\w+\)s")


Sentence = str | tuple[str, ...]
"""A sentence, or the one for one and the one for many."""


def korean() -> Catalog:
    with (WEB / "translations" / "ko" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file)


def catalogue() -> dict[Sentence, Message]:
    return {sentence(message): message for message in korean() if message.id}


def sentence(message: Message) -> Sentence:
    return message.id if isinstance(message.id, str) else tuple(message.id)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> set[Sentence]:
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
        "-k",
        "n_:1,2",
        "-o",
        str(target),
        ".",
    ]
    subprocess.run(command, cwd=WEB, check=True)
    with target.open("rb") as file:
        return {sentence(message) for message in read_po(file) if message.id}


def test_korean_has_every_sentence_and_no_other(extracted: set[Sentence]) -> None:
    assert set(catalogue()) == extracted


def test_no_sentence_is_at_fault_to_what_compiles_it() -> None:
    assert [(message.id, str(fault)) for message, faults in korean().check() for fault in faults] == []


def test_no_sentence_is_empty_or_fuzzy_and_placeholders_are_kept() -> None:
    for source, message in catalogue().items():
        many = source if isinstance(source, str) else source[-1]
        for text in [message.string] if isinstance(message.string, str) else message.string:
            assert text and not message.fuzzy, source
            assert sorted(PLACEHOLDER.findall(many)) == sorted(PLACEHOLDER.findall(text)), source


def test_every_sentence_of_scripts_is_in_the_catalogue() -> None:
    # Babel does not see calls inside nested template literals; what the page is given must all be translated.
    assert {*language._messages(0), *language._counted(0)} <= set(catalogue())


def test_what_is_counted_has_a_sentence_for_one() -> None:
    """`%(count)s tiles` is wrong for one tile: it must be the second of two sentences, of which the first is right."""
    for source in catalogue():
        if isinstance(source, str):
            assert not re.search(r"%\((count|size|n|days|all)\)s [a-z]+s\b(?! times| faster)", source), source


@pytest.mark.parametrize(("lang", "one", "many"), [("en", "1 tile", "1,000 tiles"), ("ko", "타일 1개", "타일 1,000개")])
def test_one_tile_is_no_tiles(tmp_path: Path, lang: str, one: str, many: str) -> None:
    with create_app(an_exchange(tmp_path / "ex")).test_request_context(f"/?lang={lang}"):
        found = [numbers.n_("%(count)s tile", "%(count)s tiles", count) for count in (1, 1000)]
    assert found == [one, many]


def test_scripts_have_no_html_and_no_eval() -> None:
    for path in (WEB / "static" / "js").glob("**/*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), path.name
        assert text.startswith("// @ts-check"), path.name


def test_templates_have_no_inline_script_style_or_handler() -> None:
    for path in (WEB / "templates").glob("**/*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:|\| *safe(?! }}</script>)", text), path.name


def test_a_local_frame_is_called_by_its_origin() -> None:
    from ingest.placing.systems import local_frame

    app = Flask("x")
    Babel(app)
    with app.test_request_context():
        assert vocabulary.crs_name(local_frame(127.1, 37.4)) == "metres around 37.4, 127.1"
        assert [vocabulary.crs_name(text) for text in ("EPSG:5186", 'PROJCRS["Local grid", ...', None)] == ["EPSG:5186", "Local grid", ""]


def test_vocabularies_have_a_word_for_each_code() -> None:
    assert set(vocabulary.KINDS) == set(vocabulary.FORMATS) == {kind.value for kind in LayerKind}
    assert set(vocabulary.FORMAT_NAMES) == {form.name for form in FORMATS}
    assert set(vocabulary.CLASSES) == {code.value for code in HandlingClass}
    assert set(vocabulary.PURPOSES) == {purpose.value for purpose in Purpose}
    assert set(units.UNITS) == set(Unit)
    assert set(vocabulary.ACTIONS) == set(Action)


CODE = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
NO_CODES = re.compile(r".*\.(json|jsonl|mp4|new|onnx|osm|png|xml|yaml)|ingest\.caged")
"""Names of files, and of the mark by which a program knows that it is in the cage."""
NEVER_ON_A_PAGE = {
    "file.absent": "`mapex inspect` of a path",
    "job.lost": "a worker to itself",
    "points.batch": "a reader that is wrong",
    "cage.untried": "`mapex doctor`",
}


def test_every_code_of_a_reader_has_words() -> None:
    """What ingest finds or fails with, and the tile library while it reads points, is shown on pages in both languages."""
    sources = [*(WEB.parent / "ingest").rglob("*.py")]
    sources += [p for p in (WEB.parent / "tiles" / "points").glob("*.py") if p.name != "codec.py"]
    sources += [WEB.parent / "tiles" / "video" / f"{name}.py" for name in ("boxes", "movie", "units", "recode")]
    texts = {
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)
    }
    codes = {text for text in texts - set(failpoints.NAMES) if not NO_CODES.fullmatch(text)} - set(NEVER_ON_A_PAGE)
    assert len(codes) > 130
    answer = {*findings.FINDINGS, *vocabulary.ERRORS}
    assert {
        code for code in codes if code not in answer and not (code.endswith("_") and any(one.startswith(code) for one in answer))
    } == set()
    assert {key for _, key in findings.FINDINGS.values()} == set(findings.FIXES)


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_licences_have_five_lines_in_each_language(tmp_path: Path, lang: str) -> None:
    app = create_app(an_exchange(tmp_path / "ex"))
    with app.test_request_context(f"/?lang={lang}"):
        for code in LICENCES:
            lines = licences.licence_words(code)["lines"]
            assert len(lines) == 5
            assert any(re.search("[가-힣]", line) for line in lines) == (lang == "ko")


def test_language_is_asked_then_remembered_then_preferred(tmp_path: Path) -> None:
    client = create_app(an_exchange(tmp_path / "ex")).test_client()
    assert b'lang="en"' in client.get("/login").data
    assert b'lang="ko"' in client.get("/login", headers={"Accept-Language": "ko-KR,ko;q=0.9"}).data
    assert b'lang="ko"' in client.get("/login?lang=ko").data
    assert b'lang="ko"' in client.get("/login", headers={"Accept-Language": "en"}).data
    assert b'lang="ko"' in client.get("/login?lang=xx").data


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (1234.0, "1,234"), (4.17649, "4.176"), (0.000026, "0.000026"), (12.5, "12.5")])
def test_numbers_for_people(value: float, text: str) -> None:
    assert numbers.number(value) == text
