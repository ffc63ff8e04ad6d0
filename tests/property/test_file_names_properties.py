"""Names of files on a buyer's disk: for any names, different ones that every disk keeps, and the same in each run."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from mapex.rules.file_names import portable

_WORDS = [
    "con",
    "CON",
    "aux.txt",
    "nul.laz",
    "com1",
    "a",
    "A",
    "a.",
    "a ",
    " a",
    "-rf",
    "--out",
    "..",
    ".",
    "",
    "a:b",
    "a?b",
    "a\\b",
    "a|b",
]
_WORDS += [
    "가",
    "\u1100\u1161",
    "\u00e9.laz",
    "e\u0301.laz",
    "\ufb01",
    "\u0130",
    "\u00df",
    "ss",
    "가" * 90,
    "x" * 300 + ".laz",
    "a.part",
    "a\x00b",
]
_WORDS += ["a.laz", "A.LAZ", "a.laz.part", "a.b", "_manifest.json", "manifest.json", ".hidden", "con~1", "\ud800", "a\u200d"]
_NAMES = st.one_of(st.sampled_from(_WORDS), st.text(max_size=12), st.text(st.characters(), min_size=1, max_size=4))
_PATHS = st.lists(_NAMES, min_size=1, max_size=10).map("/".join)


def on_a_disk(path: str) -> str:
    """What a disk compares that knows neither capitals nor forms of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


@given(st.lists(_PATHS, unique=True, max_size=12))
@example(["con", "CON", "Con", "con.laz", "con/con.laz"])
@example(["a", "a/b", "a.b/c", "a.b", "A/b", "a.laz", "a.laz/b"])
def test_any_names_become_different_ones_that_every_disk_keeps(paths: list[str]) -> None:
    found = [portable(path) for path in paths]
    assert len({on_a_disk(one) for one in found}) == len(paths)
    folders = {"/".join(one.split("/")[:depth]) for one in found for depth in range(1, one.count("/") + 1)}
    assert {on_a_disk(folder) for folder in folders}.isdisjoint(map(on_a_disk, found)), "a file is where another one has its folder"
    for one in found:
        assert len(one) <= 240
        for segment in one.split("/"):
            assert re.fullmatch(r"[^\W~][\w.~-]*", segment) and not segment.endswith(".") and segment[0] != "~"
            assert len(segment.encode()) <= 200
            assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", segment)
            assert not segment.endswith(".part")
        assert one not in ("_manifest.json", "manifest.json")


@given(_PATHS, st.lists(_PATHS, max_size=5))
def test_a_name_depends_on_nothing_beside_it(path: str, others: list[str]) -> None:
    before = portable(path)
    for other in others:
        portable(other)
    assert portable(path) == before


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True), st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True))
def test_what_an_exchange_sells_keeps_its_name(dataset: str, layer: str) -> None:
    path = f"{dataset}/{layer}/0123012301230123-0.parquet"
    reserved = re.compile(r"con|prn|aux|nul|(com|lpt)\d")
    if not any(reserved.fullmatch(name) for name in (dataset, layer)):
        assert portable(path) == path
