"""One contract for every tile format: a format is under test by being in the table, for each kind of layer that comes in it.

What goes in comes out, once; the same content gives the same bytes; the counts balance; a file that is not the one of its record is
found; and bytes that were changed by someone who mended the record give a fault or the same counts, never a crash.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.batches import EXAMPLES, ROWS, rows_of_batches
from tiles.batch import Batch, Content, EncodedTile, LayerKind, Quantities
from tiles.errors import InvalidContent, TilesError
from tiles.formats import FORMATS, Splitter, TileFormat, of_kind, of_media_type
from tiles.grid.grid import quadkey
from tiles.recount import verify, verify_each


@dataclass(frozen=True)
class Stored:
    """A layer in its format: what went in, what was written below `folder`."""

    form: TileFormat
    kind: LayerKind
    batches: list[Batch]
    folder: Path
    tiles: list[EncodedTile]
    splitter: Splitter

    @property
    def content(self) -> Content:
        return self.batches[0].content

    @property
    def first(self) -> tuple[Path, EncodedTile]:
        """The largest tile, for damage."""
        tile = max(self.tiles, key=lambda tile: tile.size)
        return self.folder / tile.path, tile


def split(form: TileFormat, batches: list[Batch], folder: Path) -> tuple[list[EncodedTile], Splitter]:
    splitter = form.open_splitter(folder, batches[0], 2)
    for batch in batches:
        splitter.add(batch)
    return list(splitter.finish()), splitter


@pytest.fixture(scope="module", params=[(form, kind) for form in FORMATS for kind in form.kinds], ids=lambda row: f"{row[0].name}-{row[1]}")
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    form, kind = request.param
    folder, batches = tmp_path_factory.mktemp(form.name), EXAMPLES[kind](kind)
    tiles, splitter = split(form, batches, folder)
    return Stored(form, kind, batches, folder, tiles, splitter)


def forged(stored: Stored, body: bytes, path: Path) -> tuple[Path, EncodedTile]:
    """Other bytes in place of the largest tile, and a record that fits them as far as one can see from outside."""
    _, tile = stored.first
    path.write_bytes(body)
    quantities = replace(tile.quantities, bytes=len(body))
    return path, replace(tile, size=len(body), sha256=hashlib.sha256(body).hexdigest(), quantities=quantities)


# ---- the table ---------------------------------------------------------------------------------------------------------------------


def test_every_kind_of_layer_comes_in_one_format_and_no_two_formats_can_be_taken_for_each_other() -> None:
    assert Counter(kind for form in FORMATS for kind in form.kinds) == Counter(LayerKind)
    for names in ([f.name for f in FORMATS], [f.media_type for f in FORMATS], [f.ending for f in FORMATS]):
        assert len(set(names)) == len(FORMATS)
    assert [of_media_type(form.media_type) for form in FORMATS] == list(FORMATS)
    assert of_media_type("text/plain") is None
    assert all(of_kind(kind) is form for form in FORMATS for kind in form.kinds)


def test_file_name_and_first_bytes_are_those_of_the_format(stored: Stored) -> None:
    for tile in stored.tiles:
        assert tile.path == stored.form.path(str(stored.kind), quadkey(tile.cell), 2)
        head = (stored.folder / tile.path).read_bytes()[:512]
        assert [form for form in FORMATS if form.fits(head)] == [stored.form]
        assert tile.media_type == stored.form.media_type


# ---- what goes in comes out --------------------------------------------------------------------------------------------------------


def test_every_row_comes_back_once_in_several_cells(stored: Stored) -> None:
    found = sum((ROWS[stored.form.name](stored.folder / tile.path, stored.kind) for tile in stored.tiles), Counter())
    assert found == rows_of_batches(stored.batches)
    assert len(stored.tiles) > 2
    assert [tile.cell for tile in stored.tiles] == sorted({tile.cell for tile in stored.tiles})


def test_counts_balance(stored: Stored) -> None:
    rows = sum(batch.table.num_rows for batch in stored.batches)
    owned = sum((tile.quantities for tile in stored.tiles), Quantities()).owned(stored.content)
    assert owned + stored.splitter.rejected + stored.splitter.unplaced == rows
    assert sum(tile.size for tile in stored.tiles) == sum(tile.quantities.bytes for tile in stored.tiles)


def test_same_content_gives_the_same_bytes(stored: Stored, tmp_path: Path) -> None:
    again, _ = split(stored.form, EXAMPLES[stored.kind](stored.kind), tmp_path)
    assert again == stored.tiles
    assert all((tmp_path / tile.path).read_bytes() == (stored.folder / tile.path).read_bytes() for tile in again)


def test_nothing_but_tiles_is_left_behind(stored: Stored) -> None:
    files = {path.relative_to(stored.folder).as_posix() for path in stored.folder.rglob("*") if path.is_file()}
    assert files == {tile.path for tile in stored.tiles}


def test_a_batch_of_other_content_is_refused(stored: Stored, tmp_path: Path) -> None:
    other = next(kind for kind in LayerKind if EXAMPLES[kind](kind)[0].content is not stored.content)
    splitter = stored.form.open_splitter(tmp_path, stored.batches[0], 0)
    with pytest.raises(InvalidContent):
        splitter.add(EXAMPLES[other](other)[0])


# ---- damage is found ---------------------------------------------------------------------------------------------------------------


def test_good_tiles_pass_one_by_one_and_together(stored: Stored) -> None:
    pairs = [(stored.folder / tile.path, tile) for tile in stored.tiles]
    for path, tile in pairs:
        verify(path, tile)
    assert list(verify_each(pairs)) == [(tile, None) for tile in stored.tiles]


def claims(tile: EncodedTile, content: Content) -> Iterator[tuple[str, EncodedTile]]:
    """Records that are wrong in one thing."""
    column = "points" if content is Content.POINTS else "features"
    more = {column: getattr(tile.quantities, column) + 1}
    other = next(form for form in FORMATS if form.media_type != tile.media_type)
    changes: dict[str, dict[str, Any]] = {
        "sha256": {"sha256": "0" * 64},
        "size": {"size": tile.size + 1},
        "bytes": {"quantities": replace(tile.quantities, bytes=tile.size + 1)},
        "count": {"quantities": replace(tile.quantities, **more)},
        "cell": {"cell": tile.cell + 64},
        "no tile's media type": {"media_type": "text/plain"},
        "another format's media type": {"media_type": other.media_type},
    }
    return ((what, replace(tile, **change)) for what, change in changes.items())


def test_every_wrong_claim_of_a_record_is_found_and_finds_its_tile(stored: Stored) -> None:
    path, tile = stored.first
    wrong = list(claims(tile, stored.content))
    for what, record in wrong:
        with pytest.raises(TilesError):
            verify(path, record)
            pytest.fail(f"a record with a wrong {what} passed")
    mixed = [pair for _, record in wrong for pair in ((path, tile), (path, record))]
    found = list(verify_each(mixed))
    assert [record for record, _ in found] == [record for _, record in mixed]
    assert [fault is None for _, fault in found] == [True, False] * len(wrong)


def test_changed_and_missing_bytes_are_found_by_the_sha256(stored: Stored, tmp_path: Path) -> None:
    path, tile = stored.first
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    (tmp_path / "flipped").write_bytes(body)
    (tmp_path / "cut").write_bytes(path.read_bytes()[:-1])
    for name, why in (("flipped", "sha256"), ("cut", "bytes"), ("absent", "not written")):
        with pytest.raises(InvalidContent, match=why):
            verify(tmp_path / name, tile)


@pytest.mark.parametrize("part", [0.0, 0.001, 0.25, 0.5, 0.75])
def test_a_cut_file_is_found_although_its_record_was_mended(stored: Stored, tmp_path: Path, part: float) -> None:
    path, _ = stored.first
    body = path.read_bytes()
    with pytest.raises(TilesError):
        verify(*forged(stored, body[: int(len(body) * part)], tmp_path / "cut"))


@pytest.mark.parametrize("body", [b"", b"\x00" * 4096, b"nothing of the kind" * 100], ids=["empty", "zeros", "text"])
def test_a_file_of_another_kind_is_found(stored: Stored, tmp_path: Path, body: bytes) -> None:
    for head in (b"", stored.form.magic if not stored.form.magic_at else b""):
        with pytest.raises(TilesError):
            verify(*forged(stored, head + body, tmp_path / "other"))


def test_flipped_bytes_under_a_mended_record_give_a_fault_or_the_same_counts_never_a_crash(stored: Stored, tmp_path: Path) -> None:
    path, _ = stored.first
    body = path.read_bytes()
    rng = np.random.default_rng(7)
    ends = [*range(0, 64), *range(len(body) - 64, len(body))]
    found = 0
    for at in (*ends, *rng.integers(0, len(body), 100).tolist()):
        changed = bytearray(body)
        changed[at] ^= int(rng.integers(1, 256))
        ((_, fault),) = verify_each([forged(stored, bytes(changed), tmp_path / "flipped")])
        assert fault is None or isinstance(fault, TilesError)
        found += fault is not None
    assert found > 0
