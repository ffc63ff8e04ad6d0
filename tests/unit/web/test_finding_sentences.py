"""What Korean pages show of findings: as much as the English sentence, never the contrary, and a row for each sentence of the readers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.exchange import an_exchange
from web import create_app
from web.words import findings, sentences

ROOT = Path(__file__).parents[3]
PLACE = re.compile(r"%\((\w+)\)s")
FINDERS = {"error", "warning", "info", "question", "Invalid", "InvalidContent", "Finding"}
TABLE = sentences.table("ko")
PATHS = [*sorted((ROOT / "ingest").rglob("*.py")), *sorted((ROOT / "tiles").rglob("*.py")), ROOT / "mapex" / "catalogue" / "drafts.py"]
NO_MATTER = "조치가 필요하지 않습니다"

OF_READERS = {
    "preview.broken": "one sentence for all that a caged program answers wrongly",
    "reader.bad_answer": "one sentence for all that a caged program answers wrongly",
    "extra.missing": "for the operator, who reads the log",
}
"""Codes whose sentences need no rows, each with the reason."""

SHOWN = {*findings.FINDINGS, "geometry.too_wide"} - set(OF_READERS)


def template(node: ast.expr, local: dict[str, ast.expr]) -> str | None:
    """The text of a literal or an f-string, values as \\0; None for what is put together elsewhere."""
    if isinstance(node, ast.FormattedValue):
        return template(node.value, local) or "\0"
    if isinstance(node, ast.Name):
        return template(local[node.id], local) if isinstance(local.get(node.id), ast.Constant | ast.JoinedStr) else None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part, local) or "" for part in node.values)
    return None


def made() -> Iterator[tuple[str, str, str, str]]:
    """Where, code, message and fix of the findings that the source writes out."""
    for path in PATHS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = dict(assigned(tree.body))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                for line, code, message, fix in made_in(function, constants):
                    yield f"{path.relative_to(ROOT)}:{line}", code, message, fix


def assigned(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def made_in(function: ast.FunctionDef, constants: dict[str, ast.expr]) -> Iterator[tuple[int, str, str, str]]:
    pairs = list(assigned(ast.walk(function)))
    names = [name for name, _ in pairs]
    local = constants | {name: value for name, value in pairs if names.count(name) == 1}
    for node in ast.walk(function):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FINDERS):
            continue
        texts = [template(one, local) for one in node.args[node.func.id == "Finding" :]]
        named = next((template(word.value, local) for word in node.keywords if word.arg == "code"), None)
        code = named or next((text for text in texts if text and re.fullmatch(r"[a-z0-9]+\.[a-z0-9_]+", text)), None)
        rest = [text for text in texts if text != code]
        if code is not None:
            message, fix = [*[text for text in rest if text != code or named], None, None][:2]
            yield node.lineno, code, message or "", (fix or "") if node.func.id not in ("Invalid", "InvalidContent") else ""


FOUND = list(made())


def has_row(name: str, text: str) -> bool:
    """Whether a row is what the source writes, or one of the sentences that it can write."""
    source = re.compile(re.escape(text).replace("\0", ".*"), re.DOTALL)
    samples = (text.replace("\0", "7"), text.replace("\0", ""))
    return any(
        source.fullmatch(PLACE.sub("7", row)) or any(sentences.values(row, one) is not None for one in samples)
        for row in TABLE.get(name, {})
    )


def test_the_source_is_read() -> None:
    assert len(FOUND) > 120
    assert {"las.week_time", "element.deleted", "height.mixed", "format.unknown", "crs.none"} <= {code for _, code, _, _ in FOUND}


def test_each_sentence_of_a_finding_has_its_korean() -> None:
    general = {code for code in findings.FINDINGS if code not in TABLE}  # whose English names nothing more than the general sentence
    missing = [
        f"{where} {code}: {message}"
        for where, code, message, _ in FOUND
        if message and code in SHOWN and not has_row(code, message) and not (code in general and "\0" not in message)
    ]
    assert missing == []


def test_each_advice_has_its_korean() -> None:
    assert [f"{where} {code}: {fix}" for where, code, _, fix in FOUND if fix and not has_row(sentences.FIX, fix)] == []


def test_korean_names_what_english_names() -> None:
    for rows in TABLE.values():
        for english, korean in rows.items():
            assert set(PLACE.findall(english)) == set(PLACE.findall(korean)), english


def test_nothing_needs_to_be_done_in_both_languages_or_in_none() -> None:
    for english, korean in TABLE[sentences.FIX].items():
        assert (NO_MATTER in korean) == english.startswith("Nothing"), english


def test_each_row_is_a_sentence_of_the_source() -> None:
    """A row of which no longer piece is written anywhere is left over."""
    source = re.sub(r'"\s+f?"', "", " ".join(path.read_text(encoding="utf-8") for path in PATHS))
    stale = [
        f"{name}: {english}"
        for name, rows in TABLE.items()
        for english in rows
        for pieces in [[one for one in PLACE.sub("\0", english).split("\0") if len(one) > 9]]
        if pieces and not any(one[:16] in source or one[-12:] in source for one in pieces)
    ]
    assert stale == []


@pytest.mark.parametrize(
    ("code", "message", "fix", "korean", "advice"),
    [
        (
            "las.week_time",
            "GPS time in this file is counted within a week: it states no date (or the header does not state otherwise).",
            "Give the date in the description of the data set.",
            "이 파일의 GPS 시각은 한 주 안의 초로만 적혀 있어 날짜를 알 수 없습니다(또는 헤더에 다른 설명이 없습니다).",
            "데이터셋 설명에 날짜를 적어 주세요.",
        ),
        (
            "element.deleted",
            "node/7 is marked as deleted; it is kept as it is, as kind 'other'.",
            "Remove it from the file.",
            "node/7: 삭제된 것으로 표시된 요소입니다. 종류를 ‘other’로 하여 그대로 두었습니다.",
            "파일에서 삭제하세요.",
        ),
        (
            "height.mixed",
            "4 of 2258 nodes carry ele; lines and areas are 3D only where all of their nodes do.",
            "Give every node a height.",
            "노드 2258개 중 4개에만 높이(ele)가 있습니다. 모든 노드에 높이가 있는 선과 면만 3차원이 됩니다.",
            "모든 노드에 높이를 넣으세요.",
        ),
        (
            "format.unknown",
            "bad.laz begins with the bytes b'junk', which no reader knows. Read here: LAS, GeoJSON.",
            "Correct the file and upload it again.",
            "bad.laz: 첫 바이트(b'junk')로 형식을 알 수 없습니다. 지원하는 형식: LAS, GeoJSON.",
            "파일을 고쳐 다시 올리세요.",
        ),
        (
            "crs.none",
            "Nothing states in which coordinate system this is. A PLY file has no field for a coordinate system.",
            "Give --crs EPSG:n, or --origin LON,LAT[,H] for local metres.",
            "좌표계를 알 수 있는 정보가 없습니다. PLY 파일에는 좌표계를 적는 항목이 없습니다.",
            "좌표계를 지정하거나, 로컬 좌표(m)이면 원점을 지정하세요.",
        ),
        (
            "crs.contradicts",
            "The stated system is in degrees (WGS 84), but the numbers (1, 2) are no degrees. They would be in Korea in EPSG:5186.",
            "Check --crs.",
            "적힌 좌표계는 도 단위(WGS 84)이지만 좌표(1, 2)는 도 단위가 아닙니다. EPSG:5186 좌표계로 보면 한국에 놓입니다.",
            "지정한 좌표계를 확인하세요.",
        ),
    ],
)
def test_a_finding_in_korean_says_all_that_it_says_in_english(
    tmp_path: Path, code: str, message: str, fix: str, korean: str, advice: str
) -> None:
    app = create_app(an_exchange(tmp_path / "ex"))
    with app.test_request_context("/?lang=ko"):
        assert (findings.what(code, message), findings.fix(code, fix)) == (korean, advice)
    with app.test_request_context("/?lang=en"):
        assert (findings.what(code, message), findings.fix(code, fix)) == (message, fix)


def test_an_unknown_sentence_is_shown_by_its_code_and_never_contradicted(tmp_path: Path) -> None:
    with create_app(an_exchange(tmp_path / "ex")).test_request_context("/?lang=ko"):
        assert findings.what("las.week_time", "As an older mapex wrote it.") == str(findings.FINDINGS["las.week_time"][0])
        assert findings.fix("las.week_time", "Do as an older mapex wrote.") == ""


def test_damage_of_recordings_that_an_older_mapex_found_keeps_its_words(tmp_path: Path) -> None:
    """It was called after MCAP, which was all that was read."""
    text = "The file ends at byte 57 without a footer: its writer died, or it was cut. 3 messages were read up to there."
    with create_app(an_exchange(tmp_path / "ex")).test_request_context("/?lang=ko"):
        assert "57번째 바이트" in findings.what("mcap.cut", text) and findings.meaning("mcap.cut") == findings.meaning("recording.cut")
        assert findings.fix("mcap.cut", "Run `mcap recover` on it, or record it again; what was read is kept.") != ""


@given(st.text(max_size=30), st.text(max_size=30).filter(lambda text: ", which" not in text))
def test_what_was_filled_in_is_taken_out_again(file: str, seen: str) -> None:
    source = "%(file)s begins with %(seen)s, which no reader knows."
    found = sentences.values(source, f"{file} begins with {seen}, which no reader knows.")
    assert found is not None and source.replace("%(file)s", found["file"]).replace("%(seen)s", found["seen"]) == (
        f"{file} begins with {seen}, which no reader knows."
    )
