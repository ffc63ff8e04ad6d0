"""A block of OSM PBF as columns: nodes whole in numpy, ways and relations with their references packed out together.

A place is a whole number of nanodegrees, so that degrees are the very numbers that the same file has as XML.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.readers.protobuf import Bytes, Ints, counts, fields, packed, packed_zigzag, signed
from mapex.errors import Invalid

Floats = NDArray[np.float64]
MAX_TEXT = 128 << 20
"""Bytes of text that the elements of one block may take from its table of strings, all together."""
MAX_REFS = 2_000_000
"""References of one way, or members of one relation."""
MEMBER_KINDS = ("node", "way", "relation")
_FIELDS = ("version", "timestamp", "changeset", "uid", "user", "visible")


@dataclass(slots=True)
class Infos:
    """Who wrote each element and when, a column each; empty where nothing is stated."""

    columns: dict[str, Ints] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes of one group.

    `texts` are indexes into the strings, key and value in turn; those of node i are from `begins[i]` to `begins[i + 1]`.
    """

    ids: Ints
    lon: Floats
    lat: Floats
    texts: Ints
    begins: Ints
    infos: Infos


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways of one group, columns as in `Nodes`; `refs` from `starts[i]` to `starts[i + 1]`."""

    ids: Ints
    refs: Ints
    starts: Ints
    texts: Ints
    begins: Ints
    infos: Infos


@dataclass(frozen=True, slots=True)
class Relations:
    """Relations of one group; member k is of `MEMBER_KINDS[kinds[k]]`, its role an index into the strings."""

    ids: Ints
    refs: Ints
    kinds: Ints
    roles: Ints
    starts: Ints
    texts: Ints
    begins: Ints
    infos: Infos


@dataclass(frozen=True, slots=True)
class Block:
    """One block. `strings` are texts; `damaged` the indexes of those whose bytes meant no letter."""

    strings: list[str]
    damaged: frozenset[int]
    date_ms: int
    groups: tuple[Nodes | Ways | Relations, ...]


def block_of(body: bytes, name: str) -> Block:
    """A block, whole. Raises: ValueError: it is damaged; Invalid: `osm.limit`."""
    strings: list[bytes] = []
    groups: list[memoryview] = []
    stated = {17: 100, 18: 1000, 19: 0, 20: 0}
    for number, value in fields(memoryview(body)):
        if number == 1:
            strings = [bytes(text) for at, text in fields(value) if at == 1 and not isinstance(text, int)]
        elif number == 2 and isinstance(value, memoryview):
            groups.append(value)
        elif number in stated and isinstance(value, int):
            stated[number] = signed(value)
    sizes = np.array([len(text) for text in strings], dtype=np.int64)
    maker = _BlockMaker(sizes, stated[17], stated[20], stated[19], name)
    made = [one for group in groups for one in maker.group(group)]
    texts = [text.decode("utf-8", "replace") for text in strings]
    damaged = frozenset(at for at, text in enumerate(texts) if "\ufffd" in text and text.encode() != strings[at])
    return Block(texts, damaged, stated[18], tuple(made))


@dataclass(slots=True)
class _BlockMaker:
    sizes: Ints
    granularity: int
    lon_offset: int
    lat_offset: int
    name: str
    taken: int = 0

    def group(self, body: memoryview) -> Iterator[Nodes | Ways | Relations]:
        parts: dict[int, list[memoryview]] = {}
        for number, value in fields(body):
            if isinstance(value, memoryview):
                parts.setdefault(number, []).append(value)
        if plain := parts.get(1):
            yield self._plain(plain)
        for dense in parts.get(2, []):
            yield self._dense(dense)
        if ways := parts.get(3):
            yield self._ways(ways)
        if relations := parts.get(4):
            yield self._relations(relations)

    def _degrees(self, values: Ints, offset: int) -> Floats:
        nano = values * self.granularity + offset
        if len(nano) and int(np.abs(values).max()) > (1 << 62) // max(1, abs(self.granularity)):
            raise ValueError("a place is out of range")
        return nano / 1e9

    def _texts(self, texts: Ints) -> Ints:
        """The indexes of texts, checked. Raises: ValueError: one is of no text; Invalid: `osm.limit`: they are too long together."""
        if len(texts) and (int(texts.min()) < 0 or int(texts.max()) >= len(self.sizes)):
            raise ValueError("a text is missing from its table")
        self.taken += int(self.sizes[texts].sum()) if len(texts) else 0
        if self.taken > MAX_TEXT:
            text = f"{self.name} repeats long texts over and over: more than {MAX_TEXT >> 20} MiB in one block. Export it again."
            raise Invalid("osm.limit", text, file=self.name)
        return texts

    def _dense(self, body: memoryview) -> Nodes:
        parts: dict[int, memoryview] = {number: value for number, value in fields(body) if isinstance(value, memoryview)}
        nothing = memoryview(b"")
        ids, lat, lon = (np.cumsum(packed_zigzag(parts.get(at, nothing))) for at in (1, 8, 9))
        _same(len(ids), lat, lon)
        texts, begins = _dense_texts(packed(parts.get(10, nothing)), len(ids))
        infos = self._dense_infos(parts.get(5, nothing), len(ids))
        return Nodes(ids, self._degrees(lon, self.lon_offset), self._degrees(lat, self.lat_offset), self._texts(texts), begins, infos)

    def _dense_infos(self, body: memoryview, count: int) -> Infos:
        columns: dict[str, Ints] = {}
        for number, value in fields(body):
            if not isinstance(value, memoryview) or not 1 <= number <= len(_FIELDS) or not len(value):
                continue
            plain = number in (1, 6)
            column = packed(value) if plain else np.cumsum(packed_zigzag(value))
            _same(count, column)
            columns[_FIELDS[number - 1]] = self._texts(column) if number == 5 else column
        return Infos(columns)

    def _plain(self, bodies: list[memoryview]) -> Nodes:
        """Nodes one by one, as some programs write them."""
        numbers, lists, infos = _records(bodies, (1, 8, 9), (2, 3))
        ids, lat, lon = ((column.view(np.uint64) >> np.uint64(1)).view(np.int64) ^ -(column & 1) for column in numbers)
        texts, begins = self._pairs(lists[0], lists[1])
        lons, lats = self._degrees(lon, self.lon_offset), self._degrees(lat, self.lat_offset)
        return Nodes(ids, lons, lats, texts, begins, self._infos(infos))

    def _ways(self, bodies: list[memoryview]) -> Ways:
        (ids,), lists, infos = _records(bodies, (1,), (2, 3, 8))
        refs, starts = _deltas(lists[2])
        texts, begins = self._pairs(lists[0], lists[1])
        self._limit(starts)
        return Ways(ids, refs, starts, texts, begins, self._infos(infos))

    def _relations(self, bodies: list[memoryview]) -> Relations:
        (ids,), lists, infos = _records(bodies, (1,), (2, 3, 8, 9, 10))
        roles, role_starts = _packed_lists(lists[2])
        refs, starts = _deltas(lists[3])
        kinds, kind_starts = _packed_lists(lists[4])
        if not (np.array_equal(starts, role_starts) and np.array_equal(starts, kind_starts)) or ((kinds < 0) | (kinds > 2)).any():
            raise ValueError("a relation whose members are incomplete")
        texts, begins = self._pairs(lists[0], lists[1])
        self._limit(starts)
        return Relations(ids, refs, kinds, self._texts(roles), starts, texts, begins, self._infos(infos))

    def _limit(self, starts: Ints) -> None:
        if len(starts) > 1 and int(np.diff(starts).max()) > MAX_REFS:
            raise Invalid("osm.limit", f"{self.name} has an element with over {MAX_REFS:,} references. Split it.", file=self.name)

    def _pairs(self, keys: list[Bytes], values: list[Bytes]) -> tuple[Ints, Ints]:
        first, begins = _packed_lists(keys)
        second, others = _packed_lists(values)
        if not np.array_equal(begins, others):
            raise ValueError("an element whose keys and values are not as many")
        return self._texts(np.column_stack([first, second]).reshape(-1)), begins * 2

    def _infos(self, bodies: list[Bytes]) -> Infos:
        if not any(map(len, bodies)):
            return Infos()
        columns = {name: np.zeros(len(bodies), dtype=np.int64) for name in _FIELDS}
        columns["version"] -= 1
        columns["visible"] += 1
        for row, body in enumerate(bodies):
            for number, value in fields(body):
                if 1 <= number <= len(_FIELDS) and isinstance(value, int):
                    columns[_FIELDS[number - 1]][row] = signed(value)
        if columns["visible"].all():
            del columns["visible"]
        self._texts(columns["user"])
        return Infos(columns)


_Records = tuple[list[Ints], list[list[Bytes]], list[Bytes]]


def _records(bodies: list[memoryview], numbers: tuple[int, ...], lists: tuple[int, ...]) -> _Records:
    """Fields of messages as columns: some numbers, some packed lists, and the message 4, which states who wrote them."""
    singles: list[Ints] = [np.zeros(len(bodies), dtype=np.int64) for _ in numbers]
    at_number, at_list = {n: k for k, n in enumerate(numbers)}, {n: k for k, n in enumerate(lists)}
    nothing: Bytes = b""
    found: list[list[Bytes]] = [[nothing] * len(bodies) for _ in lists]
    infos: list[Bytes] = [nothing] * len(bodies)
    for row, body in enumerate(bodies):
        for number, value in fields(body):
            if isinstance(value, int):
                if number in at_number:
                    singles[at_number[number]][row] = signed(value)
            elif number in at_list:
                found[at_list[number]][row] = value
            elif number == 4:
                infos[row] = value
    return singles, found, infos


def _packed_lists(bodies: list[Bytes]) -> tuple[Ints, Ints]:
    """Packed lists as one column, and where each begins (and the last ends)."""
    joined = b"".join(bodies)
    values = packed(joined)
    return values, np.concatenate([[0], np.cumsum(counts(bodies, joined))])


def _deltas(bodies: list[Bytes]) -> tuple[Ints, Ints]:
    """Packed lists of differences, as numbers."""
    joined = b"".join(bodies)
    steps = packed_zigzag(joined)
    lengths = counts(bodies, joined)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    total = np.concatenate([[0], np.cumsum(steps)])
    return total[1:] - np.repeat(total[starts[:-1]], lengths), starts


def _dense_texts(flat: Ints, count: int) -> tuple[Ints, Ints]:
    """Keys and values of dense nodes, which a 0 ends for each node; nothing at all where no node has any."""
    if not len(flat):
        return flat, np.zeros(count + 1, dtype=np.int64)
    # a value may be text 0 only by mistake: keys stand at even places after each end
    ends = np.flatnonzero(flat == 0)
    if len(ends) != count or ends[-1] != len(flat) - 1:
        raise ValueError("the tags of the nodes do not fit the nodes")
    begins = np.concatenate([[0], ends + 1]) - np.arange(count + 1)
    if (np.diff(begins) % 2).any():
        raise ValueError("a node with a key and no value")
    return flat[flat != 0], begins


def _same(count: int, *columns: Ints) -> None:
    if any(len(column) != count for column in columns):
        raise ValueError("columns of nodes are not equally long")
