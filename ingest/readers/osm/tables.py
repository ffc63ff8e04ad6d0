"""First pass over an OSM PBF file: an `Index` in compact columns.

16 bytes a node, 24 a way, 8 a reference, 17 a member. So much is allowed that 3 GiB are never exceeded (`MOST`); a country fits.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.readers.lanelet2.index import Floats, Index, Members, WayTable, float_of, referred
from ingest.readers.lanelet2.osm_xml import history
from ingest.readers.osm.blobs import BlobFile
from ingest.readers.osm.blocks import MEMBER_KINDS, Block, Nodes, Relations, Ways, block_of
from ingest.readers.protobuf import Ints
from mapex.errors import Invalid

MOST = {"nodes": 90_000_000, "references": 110_000_000, "ways": 12_000_000, "members": 15_000_000}
_E7 = 1e7


@dataclass(frozen=True, slots=True)
class Degrees:
    """Degrees that are kept as whole ten-millionths; as exact as text of seven decimals."""

    values: NDArray[np.int32]

    def __getitem__(self, rows: Ints) -> Floats:
        """The degrees of some rows."""
        return self.values[rows] / _E7


@dataclass(frozen=True, slots=True)
class Sparse:
    """A number of few nodes, NaN for all others."""

    rows: Ints
    values: Floats

    def __getitem__(self, rows: Ints) -> Floats:
        """The numbers of some rows."""
        if not len(self.rows):
            return np.full(len(rows), np.nan)
        at = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[at] == rows, self.values[at], np.nan)


@dataclass(frozen=True, slots=True)
class RelationTable(Mapping[int, tuple[str, Members]]):
    """Type and members of each relation, made when they are asked for."""

    at: dict[int, int]
    types: list[str]
    starts: Ints
    refs: Ints
    kinds: NDArray[np.int8]
    roles: NDArray[np.int32]
    words: list[str]

    def __getitem__(self, number: int) -> tuple[str, Members]:
        """(type, members) of a relation. Raises: KeyError: there is none."""
        row = self.at[number]
        some = slice(self.starts[row], self.starts[row + 1])
        members = zip(self.kinds[some].tolist(), self.refs[some].tolist(), self.roles[some].tolist(), strict=True)
        return self.types[row], [(MEMBER_KINDS[kind], str(ref), self.words[role]) for kind, ref, role in members]

    def __contains__(self, number: object) -> bool:
        """Whether there is such a relation."""
        return number in self.at

    def __iter__(self) -> Iterator[int]:
        """Ids of the relations."""
        return iter(self.at)

    def __len__(self) -> int:
        """How many relations there are."""
        return len(self.at)


def _column(code: str) -> array[int]:
    return array(code)


@dataclass(slots=True)
class _Growing:
    """Columns while they grow; `exact` holds degrees of a file that is finer than ten-millionths."""

    name: str
    ids: array[int] = field(default_factory=lambda: _column("q"))
    lon: array[int] = field(default_factory=lambda: _column("i"))
    lat: array[int] = field(default_factory=lambda: _column("i"))
    exact: tuple[array[float], array[float]] | None = None
    rows: list[int] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)
    ways: array[int] = field(default_factory=lambda: _column("q"))
    counts: array[int] = field(default_factory=lambda: _column("q"))
    refs: array[int] = field(default_factory=lambda: _column("q"))
    relations: array[int] = field(default_factory=lambda: _column("q"))
    types: list[str] = field(default_factory=list)
    lengths: array[int] = field(default_factory=lambda: _column("q"))
    members: array[int] = field(default_factory=lambda: _column("q"))
    kinds: array[int] = field(default_factory=lambda: _column("b"))
    roles: array[int] = field(default_factory=lambda: _column("i"))
    words: dict[str, int] = field(default_factory=dict)
    elements: int = 0

    def take(self, block: Block) -> None:
        """The elements of a block. Raises: Invalid: `osm.limit`, `osm.history`."""
        for group in block.groups:
            self._refuse_history(group)
            self.elements += len(group.ids)
            if isinstance(group, Nodes):
                self._nodes(block, group)
            elif isinstance(group, Ways):
                _extend(self.ways, group.ids)
                _extend(self.counts, np.diff(group.starts))
                _extend(self.refs, group.refs)
            else:
                self._relations(block, group)
        sizes = {"nodes": len(self.ids), "references": len(self.refs), "ways": len(self.ways), "members": len(self.members)}
        for word, size in sizes.items():
            if size > MOST[word]:
                text = f"{self.name} has over {MOST[word]:,} {word}, more than is read at once. Cut it by `osmium extract`."
                raise Invalid("osm.limit", text, file=self.name)

    def _refuse_history(self, group: Nodes | Ways | Relations) -> None:
        versions = group.infos.columns.get("version")
        if versions is not None and bool(((np.diff(group.ids) == 0) & (np.diff(versions) != 0)).any()):
            raise history(self.name)

    def _nodes(self, block: Block, group: Nodes) -> None:
        lon, lat = np.rint(group.lon * _E7), np.rint(group.lat * _E7)
        fits = bool((np.abs(lon) < 2**31).all() and (np.abs(lat) < 2**31).all())
        if self.exact is None and not (fits and np.array_equal(lon / _E7, group.lon) and np.array_equal(lat / _E7, group.lat)):
            self.exact = _exact(self.lon), _exact(self.lat)
            self.lon, self.lat = _column("i"), _column("i")
        for k, row in _heights(block, group):
            self.rows.append(len(self.ids) + k)
            self.heights.append(row)
        _extend(self.ids, group.ids)
        if self.exact is None:
            _extend(self.lon, lon.astype(np.int32))
            _extend(self.lat, lat.astype(np.int32))
        else:
            self.exact[0].frombytes(group.lon.tobytes())
            self.exact[1].frombytes(group.lat.tobytes())

    def _relations(self, block: Block, group: Relations) -> None:
        _extend(self.relations, group.ids)
        _extend(self.lengths, np.diff(group.starts))
        _extend(self.members, group.refs)
        self.kinds.frombytes(group.kinds.astype(np.int8).tobytes())
        codes = np.unique(group.roles)
        known = [self.words.setdefault(block.strings[code], len(self.words)) for code in codes.tolist()]
        if len(codes):
            _extend(self.roles, np.array(known, dtype=np.int32)[np.searchsorted(codes, group.roles)])
        texts, begins = group.texts, group.begins
        for k in range(len(group.ids)):
            words = [block.strings[code] for code in texts[begins[k] : begins[k + 1]].tolist()]
            self.types.append(next((value for key, value in zip(words[::2], words[1::2], strict=True) if key == "type"), ""))

    def finished(self) -> Index:
        """The index of all that was taken."""
        ids = np.frombuffer(self.ids, np.int64)
        lon, lat = self._places()
        rows, heights = np.array(self.rows, dtype=np.int64), np.array(self.heights)
        twice: list[str] = []
        if not _ascends(ids):
            order = np.argsort(ids, kind="stable")
            ids, lon, lat = ids[order], lon[order], lat[order]
            moved = np.empty(len(order), dtype=np.int64)
            moved[order] = np.arange(len(order))
            by_row = np.argsort(moved[rows], kind="stable")
            rows, heights = moved[rows][by_row], heights[by_row]
            twice = [f"node/{number}" for number in np.unique(ids[1:][ids[1:] == ids[:-1]]).tolist()]
        ways = WayTable.of(*(np.frombuffer(one, np.int64) for one in (self.ways, self.counts, self.refs)))
        twice += [f"way/{number}" for number in ways.twice()]
        relations = self._relation_table()
        x, y = (one if one.dtype == np.float64 else Degrees(one) for one in (lon, lat))
        lanes = referred(relations) if "regulatory_element" in self.words else {}
        return Index(ids, x, y, Sparse(rows, heights), ways, relations, lanes, twice)

    def _places(self) -> tuple[NDArray[Any], NDArray[Any]]:
        if self.exact is None:
            return np.frombuffer(self.lon, np.int32), np.frombuffer(self.lat, np.int32)
        return np.frombuffer(self.exact[0], np.float64), np.frombuffer(self.exact[1], np.float64)

    def _relation_table(self) -> RelationTable:
        starts = np.concatenate([[0], np.cumsum(np.frombuffer(self.lengths, np.int64))])
        kinds, roles = np.frombuffer(self.kinds, np.int8), np.frombuffer(self.roles, np.int32)
        at = {number: row for row, number in enumerate(self.relations.tolist())}
        return RelationTable(at, self.types, starts, np.frombuffer(self.members, np.int64), kinds, roles, list(self.words))


def _exact(degrees: array[int]) -> array[float]:
    """Degrees that were kept as ten-millionths, as they are."""
    return array("d", (np.frombuffer(degrees, np.int32) / _E7).tobytes())


def _extend(column: array[int], values: NDArray[np.integer]) -> None:
    column.frombytes(values.tobytes())


def _ascends(ids: Ints) -> bool:
    step = 1 << 20
    return all(bool((np.diff(ids[at : at + step + 1]) > 0).all()) for at in range(0, len(ids), step))


def _heights(block: Block, group: Nodes) -> Iterator[tuple[int, float]]:
    """Rows of nodes that state `ele`, and what."""
    keys = [at for at, text in enumerate(block.strings) if text == "ele"]
    for place in np.flatnonzero(np.isin(group.texts, keys)).tolist() if keys else []:
        row = int(np.searchsorted(group.begins, place, side="right")) - 1
        if (place - group.begins[row]) % 2 == 0:
            yield row, float_of(block.strings[group.texts[place + 1]])


def build(file: BlobFile) -> tuple[Index, int]:
    """Read a file once: its index, and how many elements it holds up to a fault (`file.broken`)."""
    growing = _Growing(file.name)
    for block in blocks_of(file):
        growing.take(block)
    index = growing.finished()
    index.heights = sum(map(math.isfinite, growing.heights))
    return index, growing.elements


def blocks_of(file: BlobFile) -> Iterator[Block]:
    """The blocks of a file up to the first that is damaged."""
    for body in file.blocks():
        try:
            block = block_of(body, file.name)
        except ValueError as why:
            file.broken = str(why)
            return
        yield block
