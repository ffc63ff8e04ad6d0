"""A stored vector tile is opened again and its record must be what it holds."""

import dataclasses
import hashlib

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import shapely

from tests.support.features import a_batch, place, random_shapes
from tiles import recount
from tiles.errors import InvalidContent
from tiles.features import codec as features_codec
from tiles.features.splitter import FeatureSplitter


@pytest.fixture
def stored(tmp_path):
    """A tile of a lane and a sign, and its record."""
    lane = shapely.LineString([place(0.2, 0.5), place(0.8, 0.5)])
    passing = shapely.LineString([place(-0.5, 0.4), place(0.5, 0.4)])
    splitter = FeatureSplitter(tmp_path, layer="hdmap", part=0)
    splitter.add(a_batch([lane, passing, shapely.Point(place(0.5, 0.5))], ["lane_centre", "lane_centre", "sign"]))
    tile = max(splitter.finish(), key=lambda t: t.quantities.features)
    assert tile.quantities.features == 2
    return tmp_path / tile.path, tile


def rewritten(stored, change):
    """The same tile with changed rows, and a record whose size and sha256 fit."""
    path, tile = stored
    table = change(features_codec.read(path))
    body = features_codec.encode(table, features_codec.metadata(2, tile.bbox, measured=False))
    path.write_bytes(body)
    quantities = dataclasses.replace(tile.quantities, bytes=len(body))
    return path, dataclasses.replace(tile, size=len(body), sha256=hashlib.sha256(body).hexdigest(), quantities=quantities)


def put(table, name, values):
    k = table.column_names.index(name)
    return table.set_column(k, name, pa.array(values, table.schema.field(name).type))


def test_an_honest_tile_passes(stored):
    recount.verify(*stored)
    recount.verify(*rewritten(stored, lambda table: table))


@pytest.mark.parametrize("name", ["lane_mm", "footway_mm", "signs", "crossings", "features", "points", "frames", "ms", "bytes"])
def test_a_record_that_claims_more_is_refused(stored, name):
    path, tile = stored
    quantities = dataclasses.replace(tile.quantities, **{name: getattr(tile.quantities, name) + 1})
    with pytest.raises(InvalidContent):
        recount.verify(path, dataclasses.replace(tile, quantities=quantities))


def test_other_bytes_than_promised_are_refused(stored):
    path, tile = stored
    body = bytearray(path.read_bytes())
    body[20] ^= 1
    path.write_bytes(body)
    with pytest.raises(InvalidContent, match="sha256"):
        recount.verify(path, tile)
    path.write_bytes(body[:-5])
    with pytest.raises(InvalidContent, match="bytes"):
        recount.verify(path, tile)
    path.unlink()
    with pytest.raises(InvalidContent, match="not written"):
        recount.verify(path, tile)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: put(t, "owner", [True] * 3), "own"),
        (lambda t: put(t, "inside_mm", [10**9, 10**9, None]), "length"),
        (lambda t: put(t, "inside_mm", [None] * 3), "length"),
        (lambda t: put(t, "kind", ["sign"] * 3), "length"),
        (lambda t: put(t, "geometry", [shapely.to_wkb(shapely.Point(0.5, 0.5))] * 3), "touch"),
        (lambda t: put(t, "geometry", [b"x"] * 3), "well-formed"),
        (lambda t: put(t, "geometry", [None] * 3), "no geometry"),
        (lambda t: t.slice(0, 0), "no feature"),
        (lambda t: t.slice(1), "record"),
        (lambda t: pa.concat_tables([t, t.slice(2)]), "record"),
        (lambda t: t.drop_columns(["owner"]), "owner"),
        (lambda t: put(t, "feature_id", ["a", "b", "c"]).set_column(1, "kind", pa.array([1, 2, 3])), "kind"),
    ],
)
def test_rows_that_are_false_are_refused_although_the_hash_fits(stored, change, why):
    with pytest.raises(InvalidContent, match=why):
        recount.verify(*rewritten(stored, change))


@pytest.mark.parametrize("name", ["feature_id", "kind", "properties", "more"])
def test_text_that_is_not_utf8_is_refused_although_the_hash_fits(stored, name):
    """Arrow reads and writes such bytes without a word; strict readers of Parquet die of them."""

    def broken(table):
        text = pa.array([b"\xed\x8c\x90\xea"] * table.num_rows).view(pa.string())
        if name not in table.column_names:
            return table.append_column(name, text)
        return table.set_column(table.column_names.index(name), name, text)

    with pytest.raises(InvalidContent, match="UTF8|UTF-8"):
        recount.verify(*rewritten(stored, broken))


def test_no_tile_is_made_of_text_that_is_not_utf8(tmp_path):
    batch = a_batch([shapely.Point(place(0.5, 0.5))], ["sign"])
    table = batch.table
    table = table.set_column(table.column_names.index("properties"), "properties", pa.array([b"{\xff}"]).view(pa.string()))
    splitter = FeatureSplitter(tmp_path, layer="hdmap", part=0, misfits=[])
    with pytest.raises(InvalidContent) as refused:
        splitter.add(dataclasses.replace(batch, table=table))
    assert refused.value.code == "text.damaged"


def test_a_wrong_box_cell_or_media_type_is_refused(stored):
    path, tile = stored
    for other in ({"bbox": (0.0, 0.0, 1.0, 1.0)}, {"cell": tile.cell + 1}, {"media_type": "text/plain"}):
        with pytest.raises(InvalidContent):
            recount.verify(path, dataclasses.replace(tile, **other))


def test_what_is_no_parquet_is_refused(stored):
    path, tile = stored
    body = b"PAR1 and nothing else"
    path.write_bytes(body)
    false_record = dataclasses.replace(
        tile, size=len(body), sha256=hashlib.sha256(body).hexdigest(), quantities=dataclasses.replace(tile.quantities, bytes=len(body))
    )
    with pytest.raises(InvalidContent, match="Parquet"):
        recount.verify(path, false_record)


def test_many_tiles_are_verified_together_and_each_fault_finds_its_tile(tmp_path):
    splitter = FeatureSplitter(tmp_path, layer="hdmap", part=0)
    splitter.add(a_batch(random_shapes(60)))
    tiles = list(splitter.finish())
    assert len(tiles) > 12
    forged = {3: {"bbox": (0.0, 0.0, 1.0, 1.0)}, 5: {"sha256": "0" * 64}, 6: {"media_type": "text/plain"}, 9: {"cell": 0}}
    claimed = [dataclasses.replace(tile, **forged.get(k, {})) for k, tile in enumerate(tiles)]
    (tmp_path / tiles[11].path).write_bytes(body := b"PAR1 and nothing else")
    quantities = dataclasses.replace(tiles[11].quantities, bytes=len(body))
    claimed[11] = dataclasses.replace(claimed[11], size=len(body), sha256=hashlib.sha256(body).hexdigest(), quantities=quantities)
    found = list(recount.verify_each((tmp_path / tile.path, tile) for tile in claimed))
    assert [tile for tile, _ in found] == claimed
    assert [k for k, (_, fault) in enumerate(found) if fault is not None] == [3, 5, 6, 9, 11]
    assert "box" in found[3][1].message
    assert "touch" in found[9][1].message


def test_rows_are_in_order_of_their_ids_and_heights_are_kept(tmp_path):
    shapes = [shapely.Point(*place(0.5, 0.5), 12.345), shapely.Point(*place(0.6, 0.6))]
    splitter = FeatureSplitter(tmp_path, layer="hdmap", part=3)
    splitter.add(a_batch(shapes, ids=["b", "a"]))
    (tile,) = splitter.finish()
    table = features_codec.read(tmp_path / tile.path)
    assert table.column("feature_id").to_pylist() == ["a", "b"]
    assert table.column_names == list(features_codec.COLUMNS)
    assert pc.all(table.column("owner")).as_py()
    assert shapely.from_wkb(table.column("geometry")[1].as_py()).z == 12.345
    assert tile.path.endswith("-3.parquet")
