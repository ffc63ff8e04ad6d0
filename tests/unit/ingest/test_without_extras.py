"""In the cage and behind it an absent extra is a finding with the line that installs it, never a crash."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ingest.conversion.convert import failure
from ingest.previews import blur, make
from ingest.readers import sniff
from ingest.tasks import program
from mapex.catalogue.finding import Severity
from tiles import extras, formats
from tiles.errors import ExtraMissing

NEEDS_MCAP = ("ingest.readers.recordings.mcap", "tiles.frames.mcap_slice", "tiles.frames.mcap_scan", "mapex.cli.demo.drive")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as if no extra were installed."""
    for modules, _ in extras.EXTRAS.values():
        for name in [known for known in sys.modules if known.partition(".")[0] in modules and known.partition(".")[0] != "pytest"]:
            monkeypatch.delitem(sys.modules, name)
        for module in modules:
            if module != "pytest":
                monkeypatch.setitem(sys.modules, module, None)
    for name in NEEDS_MCAP:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("bare")
def test_every_reader_and_codec_is_there_or_names_its_extra() -> None:
    lacking = set()
    for name in sniff.READERS:
        try:
            sniff.reader(name)
        except ExtraMissing as why:
            lacking.add(name)
            assert extras.line("recordings") in why.message
    assert lacking == {"mcap", "rosbag1", "rosbag2"}
    for form in formats.FORMATS:
        if form is not formats.MCAP:
            form.load_codec()
    with pytest.raises(ExtraMissing):
        formats.MCAP.load_codec()


@pytest.mark.usefixtures("bare")
def test_a_caged_program_answers_with_the_sentence_and_it_becomes_a_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(program.TASKS, "inspect", "tests.unit.ingest.test_without_extras:needs_mcap")
    lines: list[Mapping[str, Any]] = []
    assert program._do({"do": "inspect"}, lines.append) == program.EXIT_FAILED
    found = failure(json.loads(json.dumps(lines[0]["failed"])), "drive.mcap")
    assert (found.severity, found.code, found.file) == (Severity.ERROR, "extra.missing", "drive.mcap")
    assert extras.line("recordings") in found.message and "Correct the file" not in found.fix
    assert "Traceback" not in capsys.readouterr().err


def needs_mcap(request: Mapping[str, Any], emit: object) -> None:
    """A caged task that meets a recording."""
    del request, emit
    sniff.reader("mcap")


@pytest.mark.usefixtures("bare")
def test_previews_without_an_extra_name_it_and_the_other_layers_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(make.MAKERS, "frames", "tiles.frames.mcap_slice:make")
    wishes = [
        {"name": "drive", "kind": "recording", "content": "frames", "pictures": True},
        {"name": "lanes", "kind": "hdmap", "content": "features", "pictures": False},
    ]
    lines: list[Mapping[str, Any]] = []
    make.preview({"writes": str(tmp_path), "reads": str(tmp_path), "layers": wishes}, lines.append)
    reasons = {line["without"]["layer"]: line["without"] for line in lines if "without" in line}
    assert reasons["drive"]["code"] == "extra.missing" and extras.line("recordings") in reasons["drive"]["message"]
    assert reasons.get("lanes", {}).get("code") != "extra.missing"
    assert extras.line("preview") in blur.why_not()
