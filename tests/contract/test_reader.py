"""One contract for every reader: a new one is under test by its rows in `ingest.formats.FORMATS` and `reader_examples.MADE`."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ingest.formats import READERS
from ingest.reader import Source
from ingest.readers.sniff import reader, reader_for
from ingest.tasks.convert import convert
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid, MapexError
from mapex.intake.placement import Placement
from tests.support.reader_examples import MADE, Made
from tiles.batch import Batch
from tiles.errors import TilesError

LARGEST_READ = 64 << 20
RECORDINGS = {"mcap", "rosbag1", "rosbag2"}


@pytest.fixture(params=sorted(READERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made(name: str) -> Made:
    return MADE[name]


def test_every_format_is_made() -> None:
    assert set(MADE) == set(READERS)


def converted(path: Path, out: Path, given: Placement) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Report and tiles of a source, by the task that the cage runs."""
    lines: list[Mapping[str, Any]] = []
    out.mkdir()
    asked = {"do": "convert", "reads": [str(path)], "writes": str(out), "sources": [{"part": 0, "name": path.name}], "step": 1}
    convert({**asked, "placement": given.as_json()}, lines.append)
    for failed in [line["failed"] for line in lines if "failed" in line]:
        raise Invalid(failed["code"], failed["message"])
    (report,) = [line["report"] for line in lines if "report" in line]
    return report, [line["tile"] for line in lines if "tile" in line]


def counted(report: Mapping[str, Any]) -> dict[str, int]:
    """Counts of all layers; they balance in each."""
    for layer in report["layers"].values():
        counts = layer["counts"]
        assert counts["read"] == counts["placed"] + counts["unplaced"] + counts["rejected"]
    words = ("read", "placed", "unplaced", "rejected")
    return {word: sum(layer["counts"][word] for layer in report["layers"].values()) for word in words}


def test_good_file_is_recognised_and_comes_in_whole(name: str, made: Made, tmp_path: Path) -> None:
    path = made.make(tmp_path)
    assert reader_for(Source.of(path)).format == name
    report, tiles = converted(path, tmp_path / "out", made.placement)
    assert counted(report) == {"read": made.records, "placed": made.records, "unplaced": 0, "rejected": 0}
    assert [finding for finding in report["findings"] if finding["severity"] == "error"] == []
    assert sum(max(tile["quantities"]["features"], tile["quantities"]["points"]) for tile in tiles) == made.records
    assert all((tmp_path / "out" / tile["path"]).is_file() for tile in tiles)


class Strict(io.BufferedReader):
    """A file that refuses to be read without a bound."""

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None and 0 <= size <= LARGEST_READ, "an unbounded read"
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        assert size is not None and size >= 0, "an unbounded line"
        return super().readline(size)

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        raise AssertionError("unbounded lines")

    def __iter__(self) -> Iterator[bytes]:  # type: ignore[override]
        raise AssertionError("unbounded lines")


@pytest.fixture
def strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file of the test that Python code opens for reading refuses unbounded reads; gives the paths that were opened."""
    real = Path.open
    opened: list[Path] = []

    def opening(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if mode not in ("r", "rb", "rt") or tmp_path not in self.parents:
            return real(self, mode, *args, **kwargs)
        assert mode == "rb", f"{self} is opened as text: a line has no bound"
        opened.append(self)
        return Strict(io.FileIO(self))

    monkeypatch.setattr(Path, "open", opening)
    return opened


def test_reads_are_bounded(made: Made, name: str, tmp_path: Path, strict: list[Path]) -> None:
    path = made.make(tmp_path)
    strict.clear()
    source = Source.of(path)
    chosen = reader_for(source)
    list(chosen.read(source, chosen.survey(source, made.placement).placed))
    assert strict, "the test looked at no file"


def test_the_strict_file_refuses(tmp_path: Path, strict: list[Path]) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    with pytest.raises(AssertionError, match="unbounded"):
        (tmp_path / "a").read_bytes()
    with (tmp_path / "a").open("rb") as stream:
        assert stream.read(2) == b"ab"


def body_of(path: Path) -> Path:
    """The file of a source that holds its records (all of a folder of photos do: one of them)."""
    return next(p for p in sorted(path.iterdir()) if p.suffix in (".shp", ".geojson", ".jpg")) if path.is_dir() else path


def outcome(path: Path, out: Path, given: Placement) -> list[str]:
    """Codes of what stands in the way of publication: of findings, or of what was raised. Nothing else may be raised."""
    try:
        report, _ = converted(path, out, given)
    except (MapexError, TilesError) as why:
        return [str(why.code)]
    counted(report)
    return [finding["code"] for finding in report["findings"] if finding["severity"] in ("error", "question")]


@pytest.mark.parametrize("part", [0.3, 0.7, 0.95])
def test_cut_file_is_not_published_unasked_and_the_counts_balance(made: Made, name: str, tmp_path: Path, part: float) -> None:
    path = made.make(tmp_path)
    body = body_of(path)
    body.write_bytes(body.read_bytes()[: int(body.stat().st_size * part)])
    assert outcome(path, tmp_path / "out", made.placement) != []


def test_empty_file_is_refused(made: Made, name: str, tmp_path: Path) -> None:
    path = made.make(tmp_path)
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        file.write_bytes(b"")
    if path.is_file():
        with pytest.raises(Invalid) as refused:
            reader_for(Source.of(path))
        assert refused.value.code == "format.empty"
    assert outcome(path, tmp_path / "out", made.placement) != []


@pytest.mark.parametrize("body", [b"%PDF-1.7\n" + bytes(9000), b"\x89PNG\r\n\x1a\n" + bytes(9000), b"<OGRVRTDataSource/>" + b" " * 500])
def test_wrong_type_under_a_good_name_is_refused(made: Made, name: str, tmp_path: Path, body: bytes) -> None:
    path = made.make(tmp_path)
    body_of(path).write_bytes(body)
    if path.is_file():
        with pytest.raises(Invalid) as refused:
            reader_for(Source.of(path))
        assert refused.value.code == "format.unsupported"
    source, forced = Source.of(path), reader(name)  # asked all the same, it neither crashes nor finds records in it
    try:
        survey = forced.survey(source, made.placement)
        entries = [*survey.findings, *forced.read(source, survey.placed)]
    except (MapexError, TilesError):
        return
    assert [entry for entry in entries if isinstance(entry, Finding) and entry.severity in ("error", "question")] != []


def formats_with(variant: str) -> list[str]:
    return sorted(name for name, made in MADE.items() if getattr(made, variant) is not None)


def test_most_formats_are_tried_with_the_odd_variants() -> None:
    assert set(MADE) - set(formats_with("nan")) <= {"las", "geopackage", "osm", "nmea"}, (
        "a new reader is tried with NaN, unless its format has none"
    )
    assert len(formats_with("unplaced")) >= len(MADE) / 2


@pytest.mark.parametrize("name", formats_with("nan"), indirect=True)
def test_coordinate_that_is_no_number_places_nothing(made: Made, name: str, tmp_path: Path) -> None:
    assert made.nan is not None
    report, tiles = converted(made.nan(tmp_path), tmp_path / "out", made.placement)
    counts = counted(report)
    # A message or a frame of a recording without a usable fix is placed by its neighbours.
    assert counts["placed"] == made.records - (0 if name in {*RECORDINGS, "video"} else 1)
    assert counts["read"] == made.records
    assert report["findings"] != []
    assert all(abs(value) <= 180 for tile in tiles for value in tile["bbox"])


@pytest.mark.parametrize("name", formats_with("unplaced"), indirect=True)
def test_source_without_a_place_is_unplaced_and_asked_for(made: Made, name: str, tmp_path: Path) -> None:
    assert made.unplaced is not None
    report, tiles = converted(made.unplaced(tmp_path), tmp_path / "out", Placement())
    counts = counted(report)
    assert (report["crs_source"], tiles) == ("none", [])
    assert counts == {"read": made.records, "placed": 0, "unplaced": made.records, "rejected": 0}
    assert "crs.none" in {finding["code"] for finding in report["findings"]}


def open_files() -> set[str]:
    """What this process has open, by name; without sockets and pipes, which other threads come and go with."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith("/") and not target.startswith(("/dev", "/proc")):
            found.add(target)
    return found


def test_cancelled_in_the_middle_leaves_nothing_open(made: Made, name: str, tmp_path: Path) -> None:
    source = Source.of(made.make(tmp_path))
    chosen = reader_for(source)
    placed = chosen.survey(source, made.placement).placed
    before = open_files()
    entries = chosen.read(source, placed)
    first = next(entry for entry in entries if isinstance(entry, Batch))
    assert first.table.num_rows
    assert isinstance(entries, Iterator)
    entries.close()  # type: ignore[attr-defined]
    assert open_files() - before == set()
    assert sum(entry.table.num_rows for entry in chosen.read(source, placed) if isinstance(entry, Batch)) == made.records
