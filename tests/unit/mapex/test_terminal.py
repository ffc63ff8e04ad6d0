"""What files call themselves never steers the terminal that it is shown on; machines still get every character."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapex import texts
from mapex.cli import output
from mapex.cli.server import logs
from mapex.client import bar
from tests.support.processes import MAPEX

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x9b31m\rb\u202egpj.\u2066x\u2028y\x7f"
NAMES = st.text(max_size=60) | st.just(HOSTILE)


def steers(text: str, allowed: str = "\n\t") -> list[str]:
    """Characters of a text that a terminal obeys, or that turn what stands beside them."""
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return [
        c
        for c in text
        if c not in allowed and (unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(c) in turning)
    ]


@given(NAMES)
def test_nothing_shown_steers_a_terminal(text: str) -> None:
    assert steers(texts.shown(text)) == [] and steers(texts.one_line(text), "") == []


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs", "M")), max_size=60))
def test_letters_of_every_script_stay(text: str) -> None:
    assert texts.shown(text) == texts.one_line(text) == text


@given(st.recursive(NAMES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8))
def test_json_is_exact_and_steers_nothing(value: object) -> None:
    text = texts.shown_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(text) == value and steers(text) == []


def test_a_name_forges_no_line_of_a_table_or_of_findings() -> None:
    row = output.table(["name"], [["one\ntwo"]])
    assert row.splitlines()[2:] == ["one\\ntwo"]
    finding = {"severity": "error", "code": "x.y", "file": "a\nerror  z", "layer": "", "feature": HOSTILE, "message": "m\nm", "fix": "f\nf"}
    assert len(output.findings_text([finding]).splitlines()) == 1 and steers(output.findings_text([finding]), "") == []


def test_errors_bars_and_the_log_of_operators_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    output.fail(OSError(2, HOSTILE, HOSTILE), as_json=True)
    bar.tell(HOSTILE)
    printed = capsys.readouterr()
    assert steers(printed.out) == [] and steers(printed.err) == []
    record = logging.LogRecord("ingest", logging.WARNING, "", 0, "a file called %s", (HOSTILE,), None)
    assert steers(logs._Plain("%(message)s").format(record)) == []


def test_inspect_shows_what_a_file_calls_itself_and_obeys_nothing(tmp_path: Path) -> None:
    path = tmp_path / "map\x1b[31m\u202enosj.geojson"
    feature = {"type": "Feature", "id": HOSTILE, "geometry": {"type": "Point", "coordinates": "none"}, "properties": {}}
    sound = {"type": "Feature", "id": "s", "geometry": {"type": "Point", "coordinates": [127.0, 37.5]}, "properties": {HOSTILE: HOSTILE}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature, sound]}), encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAPEX_")}
    for more in ([], ["--json"]):
        done = subprocess.run([*MAPEX, "inspect", path, *more], env=clean, capture_output=True, text=True, check=False)
        assert "map\\x1b" in done.stdout or "map\\u001b" in done.stdout
        assert steers(done.stdout) == [] and steers(done.stderr) == [], more
    assert any(HOSTILE in one["feature"] for one in json.loads(done.stdout)["findings"])
