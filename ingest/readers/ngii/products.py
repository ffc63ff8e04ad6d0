"""Products of one map: NGII delivers each section in UTM 52N and UTM-K, above the ellipsoid and above the geoid, with the same ids.

Read together every feature would be sold twice, some 23 to 30 m apart in height. Which folders hold the same map is seen by their ids,
not by how they are called; of each map one product is read, and the others are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.findings import info, warning
from ingest.placing import systems
from ingest.placing.names import height_of, system_of
from ingest.readers.ngii.distance import Apart, apart
from ingest.readers.ngii.layers import DeliveredLayer, ids_of
from ingest.readers.tables import shape_text
from mapex.catalogue.finding import Finding

_SHARED = 0.5
"""The share of the ids of the smaller folder that makes it the same map as another one."""
_NEAR_M, _GEOID_M = 1.0, (15.0, 40.0)
"""Metres: what products of one map may be apart, and how far the geoid is above the ellipsoid in Korea."""


@dataclass(frozen=True, slots=True)
class MapProduct:
    """The layers in one folder. `ids` are distinct, with their layer; `height` is the datum that its name states."""

    folder: str
    layers: tuple[DeliveredLayer, ...]
    ids: pa.Array
    height: str | None

    @property
    def name(self) -> str:
        """What to call it: its folder and the one above, its section."""
        return "/".join(self.folder.split("/")[-2:]) or "the folder itself"

    def is_in(self, crs: str | None) -> bool:
        """Whether it is in a system: by what its .prj states, else by its name."""
        wanted = systems.crs_from(crs)
        prj = next((path for layer in self.layers if (path := shape_text.beside(layer.path, ".prj")) is not None), None)
        own = systems.crs_from(shape_text.system_text(prj) if prj is not None else system_of([self.folder]))
        return wanted is not None and own is not None and systems.is_same_projection(own, wanted)


@dataclass(slots=True)
class ChosenLayers:
    """What of a delivery is read, above what its heights are, and what is to be reported about the rest."""

    layers: list[DeliveredLayer] = field(default_factory=list)
    height: str | None = None
    findings: list[Finding] = field(default_factory=list)


def choose(layers: Sequence[DeliveredLayer], file: str, *, height: str | None, crs: str | None) -> ChosenLayers:
    """One product of each map.

    Args:
        layers: all of a delivery.
        height, crs: the datum and the system that were asked for; a product that has them goes before others.
    """
    maps = _maps(_products(layers, file))
    wanted = height or _commonest(maps)
    choice = ChosenLayers()
    heights: set[str | None] = set()
    for products in maps:
        taken = max(products, key=lambda one: (one.is_in(crs), one.height == wanted, len(one.ids)))
        others = [(one, apart(taken.layers, one.layers)) for one in products if one is not taken]
        known = taken.height or _by_comparing(taken, others, file, choice.findings)
        for other, distance in others:
            choice.findings += _about(taken, other, distance, file)
        choice.layers += taken.layers
        heights.add(known)
    choice.layers.sort(key=lambda layer: layer.path)
    choice.height = heights.pop() if len(heights) == 1 else None
    if heights and choice.height is None:
        text = f"The sections of {file} are above different heights ({', '.join(sorted(one or 'unknown' for one in heights))}, ...)."
        fix = "Upload the sections of each height apart, so that each has its datum."
        choice.findings.append(warning("ngii.heights_mixed", text, fix, file=file))
    return choice


def _products(layers: Sequence[DeliveredLayer], file: str) -> list[MapProduct]:
    folders: dict[str, list[DeliveredLayer]] = {}
    for layer in layers:
        folders.setdefault(layer.folder, []).append(layer)
    made = []
    for folder, own in sorted(folders.items()):
        named = [pc.binary_join_element_wise(pa.scalar(layer.code), pc.drop_null(ids_of(layer)), "/") for layer in own]
        made.append(MapProduct(folder, tuple(own), pc.unique(pa.concat_arrays(named)), height_of([folder]) or height_of([file])))
    return made


def _maps(products: Sequence[MapProduct]) -> list[list[MapProduct]]:
    """Products of the same map together."""
    ends = np.cumsum([len(one.ids) for one in products])
    codes = np.asarray(pc.dictionary_encode(pa.concat_arrays([one.ids for one in products])).indices)
    owner = np.full(int(codes.max()) + 1 if len(codes) else 0, -1)
    found: dict[int, list[MapProduct]] = {}
    for number, (product, own) in enumerate(zip(products, np.split(codes, ends[:-1]), strict=True)):
        before = owner[own][owner[own] >= 0]
        leader = int(np.bincount(before).argmax()) if len(before) else number
        shared = int((before == leader).sum())
        is_same = shared > 0 and shared >= _SHARED * min(len(own), len(found[leader][0].ids))
        first = leader if is_same else number
        found.setdefault(first, []).append(product)
        owner[own[owner[own] < 0]] = first
    return list(found.values())


def _commonest(maps: Sequence[Sequence[MapProduct]]) -> str | None:
    """The datum that most features can be had in; of two the ellipsoid, which needs no model of the geoid."""
    counts: Counter[str] = Counter()
    for products in maps:
        for datum in {one.height for one in products if one.height}:
            counts[datum] += max(len(one.ids) for one in products if one.height == datum)
    return max(counts, key=lambda datum: (counts[datum], datum == "ellipsoid"), default=None)


def _by_comparing(taken: MapProduct, others: Sequence[tuple[MapProduct, Apart | None]], file: str, found: list[Finding]) -> str | None:
    """The datum of a product whose name states none, by how far it is above or below another one of the same map."""
    least, most = _GEOID_M
    for other, distance in others:
        if distance is not None and least <= abs(distance.up_m) <= most:
            datum = "ellipsoid" if distance.up_m < 0 else "KNGeoid"
            text = f"The heights of {taken.name} are taken as {datum}: {other.name}, the same map, is {distance.up_m:+.2f} m above it."
            found.append(warning("ngii.heights", text, "Give --height-datum to settle it.", file=file, value=datum))
            return datum
    return None


def _about(taken: MapProduct, other: MapProduct, distance: Apart | None, file: str) -> Iterator[Finding]:
    where = {"file": file, "value": other.name[:200]}
    fix = "Nothing to do. To sell the other one, leave this folder out, or give the height datum of the other."
    count = len(other.ids)
    if distance is None:
        text = f"{other.name} holds the same map as {taken.name}; only {taken.name} is read."
    else:
        text = f"{other.name} holds the same map as {taken.name}, {distance.up_m:+.2f} m in height; only {taken.name} is read."
    yield info("ngii.products", text, fix, count=count, **where)
    if distance is not None and distance.along_m > _NEAR_M:
        text = f"{other.name} holds the same map as {taken.name}, but is {distance.along_m:.1f} m beside it."
        yield warning("ngii.products_apart", text, "Check the coordinate systems of both.", **where)
    if distance is not None and _is_exchanged(taken, other, distance):
        text = f"{other.name} is {distance.up_m:+.2f} m above {taken.name}, which is the other way round than their names state."
        yield warning("ngii.heights_exchanged", text, "Check which of them is above the ellipsoid; it is the higher one in Korea.", **where)
    missing = other.ids.filter(pc.invert(pc.is_in(other.ids, taken.ids)))
    if len(missing):
        names = ", ".join(one.partition("/")[2] for one in missing[:5].to_pylist())
        text = f"{other.name}, which is not read, holds {len(missing)} features that {taken.name} lacks: {names}"
        yield warning("ngii.products_differ", text, "Compare both, and upload the one that is whole.", count=len(missing), **where)


def _is_exchanged(taken: MapProduct, other: MapProduct, distance: Apart) -> bool:
    """Whether the product that is called ellipsoidal is below the one above the geoid, which is 23 to 30 m up in Korea."""
    if {taken.height, other.height} != {"ellipsoid", "KNGeoid"}:
        return False
    return distance.up_m > 0 if taken.height == "ellipsoid" else distance.up_m < 0
