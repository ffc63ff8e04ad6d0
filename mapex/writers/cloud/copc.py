"""COPC: a LAZ 1.4 whose chunks are the nodes of an octree, so that a part of it can be read by range. Points are those of the LAZ.

Source: Cloud Optimized Point Cloud Specification 1.0 (copc.io).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from mapex.errors import Invalid
from mapex.writers.changes import Changes
from mapex.writers.cloud import modern
from mapex.writers.cloud.laz import Steps, stepped, steps_of, template_of
from mapex.writers.cloud.octree import Octree, place_of
from mapex.writers.cloud.points import BoughtCloud, xyz_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tiles.cell_files import CellFiles
    from tiles.points.header import Header
    from tiles.points.laz import Packing, Records
    from tiles.points.tile import Facts

FORMAT = "COPC"
_INFO, _ENTRY = struct.Struct("<5dQQ2d88x"), struct.Struct("<4iQii")
_RECORD, _LONG_RECORD = 54, 60  # bytes of the heads of a VLR and an EVLR
_GROUP = 8
_TIME = slice(22, 30)
_SPACING = 128  # cells of the root, side by side, that hold a point each, about


class _Node(NamedTuple):
    """A chunk in the file: its node, where it begins, how long it is, and how many points it holds."""

    node: int
    at: int
    size: int
    points: int


def write(cloud: BoughtCloud, path: Path, changes: Changes) -> int:
    """See `mapex.writers.formats.CloudWriter`."""
    import laspy

    from tiles.cell_files import CellFiles
    from tiles.points.header import header_bytes
    from tiles.points.laz import Packing

    source = cloud.tiles[0].header
    if modern.is_old(source):
        changes.add("point_format", str(source.point_format), into=str(modern.modern_header(source).point_format))
    if cloud.shift.crs.is_geographic:
        raise Invalid("join.crs", f"A COPC in degrees ({cloud.shift.crs.name}) is of no use. Name a system in metres with --crs.")
    steps = steps_of(cloud)
    header = modern.modern_header(replace(source, compressed=False))
    packing = Packing(header)
    template = _template(cloud, header, packing.tile_record, steps)
    files = CellFiles(path.with_name(f"{path.name}.nodes"))
    facts, times = _facts(cloud, steps)
    tree = _tree(cloud, steps, facts)
    _sort_out(cloud, steps, tree, files)
    with path.open("w+b") as file:
        file.write(header_bytes(template) + struct.pack("<q", -1))
        nodes = [*_chunks(file, files, packing, header.record_length)]
        files.close()
        _close(file, template, nodes, (facts, times, tree, packing))
    with laspy.open(path) as reader:
        return int(reader.header.point_count)


def _template(cloud: BoughtCloud, header: Header, laszip: bytes, steps: Steps) -> Header:
    """The head of the file, its info record first (to be filled in), its system as WKT, which COPC asks for."""
    from tiles.points.crs import wkt_record
    from tiles.points.header import WKT_FLAG, Vlr

    made = template_of(cloud, laszip)
    others = tuple(one for one in made.vlrs if one.user != "LASF_Projection")
    vlrs = (Vlr("copc", 1, b"COPC info VLR", bytes(_INFO.size)), wkt_record(cloud.shift.crs), *others)
    offset = 375 + sum(_RECORD + len(one.data) for one in vlrs)
    return replace(
        made, vlrs=vlrs, point_offset=offset, encoding=made.encoding | WKT_FLAG, scales=steps.scales, offsets=steps.offsets,
        point_format=header.point_format, record_length=header.record_length,
    )  # fmt: skip


def _batches(cloud: BoughtCloud, steps: Steps) -> Iterator[tuple[Records, NDArray[np.float64]]]:
    """Points as they will be in the file, and where they then are."""
    head = replace(cloud.tiles[0].header, scales=steps.scales, offsets=steps.offsets)
    for tile, records in cloud.records():
        some = modern.modern_records(stepped(cloud, tile, records, steps), tile.header)
        yield some, xyz_of(some, head)


def _facts(cloud: BoughtCloud, steps: Steps) -> tuple[Facts, tuple[float, float]]:
    """What the head states about all points, and the least and the greatest time."""
    import numpy as np

    from tiles.points.tile import Facts

    facts, low, high = None, np.inf, -np.inf
    for records, _ in _batches(cloud, steps):
        some = Facts.of(records, 6)
        facts = some if facts is None else facts | some
        times = records[:, _TIME].copy().view("<f8")
        low, high = min(low, float(times.min())), max(high, float(times.max()))
    assert facts is not None  # noqa: S101 - tiles hold points
    return facts, (low, high)


def _tree(cloud: BoughtCloud, steps: Steps, facts: Facts) -> Octree:
    """The octree of the points, from how many are where."""
    tree = Octree.of(*_corners(steps, facts), cloud.count)
    for _, xyz in _batches(cloud, steps):
        tree.count(xyz)
    tree.grow()
    return tree


def _corners(steps: Steps, facts: Facts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import numpy as np

    scales, offsets = np.array(steps.scales), np.array(steps.offsets)
    low, high = np.sort([facts.low * scales + offsets, facts.high * scales + offsets], axis=0)
    return low, high


def _sort_out(cloud: BoughtCloud, steps: Steps, tree: Octree, files: CellFiles) -> None:
    """Write the points of each node to a file of its own."""
    import numpy as np

    for number, (records, xyz) in enumerate(_batches(cloud, steps)):
        nodes = tree.nodes(xyz, number)
        order = np.argsort(nodes, kind="stable")
        found, starts = np.unique(nodes[order], return_index=True)
        for node, some in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
            files.append(node, [records[some].tobytes()])


def _chunks(file: BinaryIO, files: CellFiles, packing: Packing, length: int) -> Iterator[_Node]:
    """Write a chunk for each node, the coarse ones first."""
    import numpy as np

    names = sorted(files.cells)
    for begin in range(0, len(names), _GROUP):
        some = names[begin : begin + _GROUP]
        groups = []
        for name in some:
            with files.open(name) as stream:
                groups.append(np.frombuffer(stream.read(), np.uint8).reshape(-1, length))
            files.drop(name)
        for name, group, body in zip(some, groups, packing.pack(groups), strict=True):
            yield _Node(name, file.tell(), len(body), len(group))
            file.write(body)


def _close(file: BinaryIO, template: Header, nodes: Sequence[_Node], known: tuple[Facts, tuple[float, float], Octree, Packing]) -> None:
    """The table of chunks, the nodes, and the head again, now with what it states about the points."""
    from tiles.points.header import Vlr, evlr_bytes, header_bytes

    facts, times, tree, packing = known
    at = file.tell()
    file.write(packing.table_bytes([(node.points, node.size) for node in nodes]))
    behind, entries = file.tell(), _hierarchy(nodes)
    header = replace(template, evlrs=(Vlr("copc", 1000, b"EPT Hierarchy", entries), *template.evlrs))
    file.write(evlr_bytes(header))
    middle, half = tree.low + tree.side / 2, tree.side / 2
    info = _INFO.pack(*middle, half, tree.side / _SPACING, behind + _LONG_RECORD, len(entries), *times)
    low, high = _corners(Steps(template.scales, template.offsets), facts)
    header = replace(
        header, vlrs=(header.vlrs[0]._replace(data=info), *header.vlrs[1:]), count=sum(node.points for node in nodes),
        by_return=tuple(facts.by_return.tolist()), mins=tuple(low.tolist()), maxs=tuple(high.tolist()),
    )  # fmt: skip
    file.seek(0)
    file.write(header_bytes(header, behind) + struct.pack("<q", at))


def _hierarchy(nodes: Sequence[_Node]) -> bytes:
    """Entries of all nodes; those that only have children hold no points."""
    there = {node.node: node for node in nodes}
    for name in [*there]:
        while name > 1:
            name >>= 3  # noqa: PLW2901 - up to the root
            there.setdefault(name, _Node(name, 0, 0, 0))
    return b"".join(_ENTRY.pack(*place_of(name), node.at, node.size, node.points) for name, node in sorted(there.items()))
