"""Placing: from what a file states, or its uploader, to a coordinate system and a *named* height datum, and how both are known.

Nothing is placed silently: a CRS comes from the file, from the uploader, or from a guess that is reported; else the source is unplaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pyproj import CRS

from ingest.findings import error, info, warning
from ingest.placing import systems
from ingest.placing.move import accuracies_m, accuracy_m
from ingest.placing.names import height_of, system_of
from ingest.reader import Placed
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement, check_placement
from mapex.rules.licences import SOURCE_FINDING, SOURCES, SourceLicence

_CODE_LETTERS = 24
_EXACT_M, _SMALL_M = 1.0, 5.0
"""Metres that PROJ may be off: what is not worth a word, and what is only worth knowing."""


def resolve(
    file_crs: CRS | str | None, given: Placement, *, assumed: str | None = None, height: str | None = None, note: str = ""
) -> Placed:
    """Where a source is and how that is known.

    The uploader's statement beats the file's (a wrong label is the commonest fault of all), the file's beats a guess.

    Args:
        file_crs: what the file states, in any form pyproj reads; None or not understood = it states nothing.
        given: what the uploader stated.
        assumed: a guess of the reader for a file that states nothing; `note` must then give the reason.
        height: height datum that the reader infers when neither CRS nor uploader names one (a folder name, a standard).
        note: a guess or an assumption in words.

    Raises: Invalid: `placement.crs`, `placement.origin`: the uploader's statement cannot be used.
    """
    stated = systems.crs_from(file_crs)
    notes = [note] if note else []
    if file_crs is not None and stated is None and str(file_crs).strip():
        notes.append(f"The file's CRS text is not understood: {str(file_crs)[:80]!r}.")
    if stated is not None and not systems.is_on_earth(stated):
        notes.append(f"The file states a system of its own, {stated.name[:80]!r}, which is nowhere on the Earth.")
        stated = None
    text, source, crs = _chosen(stated, given, assumed, notes)
    datum, datum_source = _height(crs, given, height, source)
    return Placed(text, source, datum, datum_source, given.origin, " ".join(notes))


def _chosen(stated: CRS | None, given: Placement, assumed: str | None, notes: list[str]) -> tuple[str | None, Known, CRS | None]:
    if given.crs:
        crs = systems.crs_from(given.crs)
        if crs is None:
            raise Invalid("placement.crs", f"The CRS {given.crs!r} is not known; give a code such as EPSG:5179, or WKT.", crs=given.crs)
        if not systems.is_on_earth(crs):
            text = f"The CRS {given.crs!r} ({crs.name}) is no system of places on the Earth; give a code such as EPSG:5179."
            raise Invalid("placement.crs", text, crs=given.crs)
        if stated is not None and not systems.horizontal(stated).equals(systems.horizontal(crs), ignore_axis_order=True):
            notes.append(f"The file states {stated.name!r}; the uploader's {given.crs} was used instead.")
        return systems.recognise(crs)[0], Known.GIVEN, crs
    if given.origin is not None and (stated is None or not stated.is_geographic):
        lon, lat, _ = given.origin
        if not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
            raise Invalid("placement.origin", f"The origin {lon},{lat} is not LON,LAT in degrees.", origin=list(given.origin))
        text = systems.local_frame(lon, lat)
        return text, Known.GIVEN, systems.parsed(text)
    if stated is not None:
        text, guessed, why = systems.recognise(stated)
        if guessed:
            notes.append(why)
        return text, Known.GUESSED if guessed else Known.FILE, stated
    if assumed:
        crs = systems.parsed(assumed)
        return systems.recognise(crs)[0], Known.GUESSED, crs
    return None, Known.NONE, None


def _height(crs: CRS | None, given: Placement, inferred: str | None, source: Known) -> tuple[str, Known]:
    if given.height_datum:
        return given.height_datum, Known.GIVEN
    stated = systems.height_datum(crs) if crs is not None else None
    if stated:
        return stated, source
    return (inferred, Known.GUESSED) if inferred else ("unknown", Known.NONE)


def unplaced(placed: Placed, why: str) -> Placed:
    """What is left of a placement that the coordinates contradict: nothing but what others than the file say about its heights."""
    if placed.height_source is Known.FILE:
        return Placed(None, Known.NONE, note=why)
    return Placed(None, Known.NONE, placed.height_datum, placed.height_source, note=why)


def contradiction(why: str, placed: Placed, **where: str) -> Finding:
    """The finding about a system that is not used because the coordinates contradict it. `where`: file and layer."""
    fix = "Check --crs." if placed.crs_source is Known.GIVEN else "Give the right system with --crs EPSG:n."
    return error("crs.contradicts", why, fix, value=(placed.crs or "")[:80], **where)


def with_names(placed: Placed, names: Iterable[str]) -> Placed:
    """The placement with the height datum that names of the file or its folder state, where nothing else does."""
    named = height_of(names) if placed.height_source is Known.NONE else None
    return placed if named is None else replace(placed, height_datum=named, height_source=Known.GUESSED)


def with_record(placed: Placed, record: bytes | None) -> Placed:
    """The placement with the height datum that a tile of ours states in itself, where nothing else does (a bought tile that comes back)."""
    if record is None or placed.height_source is not Known.NONE:
        return placed
    try:
        stated = json.loads(record)
        datum = stated.get("height_datum") if isinstance(stated, dict) else None
        check_placement(Placement(height_datum=datum if isinstance(datum, str) else None))
    except (ValueError, RecursionError, Invalid):
        return placed
    return replace(placed, height_datum=datum, height_source=Known.FILE) if isinstance(datum, str) else placed


def licence_in(record: bytes | None) -> SourceLicence | None:
    """The licence that a tile of ours states of the source that it was made from."""
    try:
        stated = json.loads(record or b"null")
    except (ValueError, RecursionError):
        return None
    return SOURCES.get(str(stated.get("licence"))) if isinstance(stated, dict) else None


def stated_in_tiles(placed: Placed, licence: SourceLicence | None = None) -> dict[str, Any]:
    """What each tile states of its source, place and licence, wherever its format can (`tiles.batch.PLACING`)."""
    found: dict[str, Any] = {"licence": licence.code, "attribution": licence.attribution} if licence is not None else {}
    if placed.height_source is not Known.NONE:
        found |= {"height_datum": placed.height_datum, "height_source": str(placed.height_source)}
    if placed.crs and not systems.is_wgs84(systems.parsed(placed.crs)):
        crs = placed.crs if len(placed.crs) <= _CODE_LETTERS else systems.parsed(placed.crs).name
        found |= {"source_crs": crs, "source_crs_known": str(placed.crs_source)}
        accuracy = accuracy_m(placed.crs)
        found |= {} if accuracy is None else {"accuracy_m": accuracy}
    return found


def without_datum(layer: str, file: str) -> Finding:
    """The question for the height datum of a layer that has heights: data above the ellipsoid and above the sea differ by 23 to 30 m."""
    text = f"The layer {layer} has heights, and nothing states above what: in Korea sea level and ellipsoid are 23 to 30 m apart."
    fix = "Give --height-datum (KVD1964, ellipsoid, ...), or choose it on the upload page."
    return warning("height.datum_unknown", text, fix, file=file, layer=layer)


def other_name(placed: Placed, names: Iterable[str], **where: str) -> list[Finding]:
    """A name of the file or its folder that states another system than the file. `where`: file."""
    named = system_of(names) if placed.crs and placed.crs_source in (Known.FILE, Known.GUESSED) else None
    if named is None or placed.crs is None or systems.is_same_projection(systems.parsed(placed.crs), systems.parsed(named)):
        return []
    name = systems.parsed(placed.crs).name
    text = f"The name of the file or its folder states {named}, the file itself {name!r}, which was used."
    return [
        warning("crs.name_differs", text, "Check the box on the map; give --crs to settle it.", value=f"{named} / {name}"[:200], **where)
    ]


def about_licence(licence: SourceLicence, file: str) -> Finding:
    """The finding about the licence of a source, which goes along with the data."""
    text = f"{file} holds data under {licence.code} ({licence.word}); its tiles state this, and it goes along wherever they are sold."
    fix = f"Publish it under the licence {licence.offered}, with the attribution {licence.attribution!r}."
    return info(SOURCE_FINDING, text, fix, file=file, value=licence.code)


def findings(placed: Placed, *, file: str = "", layer: str = "") -> list[Finding]:
    """What is to be reported about a placement: unplaced, guessed, assumed, or less exact than a metre."""
    found: list[Finding] = []
    where = {"file": file, "layer": layer}
    if placed.crs_source is Known.NONE:
        why = f"Nothing states in which coordinate system this is. {placed.note}".strip()
        found.append(error("crs.none", why, "Give --crs EPSG:n, or --origin LON,LAT[,H] for local metres.", **where))
    elif placed.crs_source is Known.GUESSED:
        guess = placed.note or f"{placed.crs} was assumed."
        found.append(warning("crs.guessed", guess, "Check the box on the map; give --crs to settle it.", value=placed.crs or "", **where))
    elif placed.note:
        found.append(info("crs.note", placed.note, "Check the box on the map.", value=placed.crs or "", **where))
    if placed.crs:
        found += _accuracy(placed.crs, where)
    return found


def _accuracy(crs: str, where: dict[str, str]) -> list[Finding]:
    """What is to be reported about the way to WGS 84: a datum whose shift nobody knows is a question, some metres are worth knowing."""
    system = systems.parsed(crs)
    if not systems.has_datum(system):
        text = (
            f"The datum of {system.name!r} is not known, nor how far it is from that of WGS 84: all of it may be off by hundreds of "
            "metres (in Korea 300 to 400 m)."
        )
        return [warning("crs.datum_unknown", text, "Give --crs EPSG:n of the system that it really is.", value=crs[:80], **where)]
    known = accuracies_m(crs)
    if known is not None and known[1] <= _EXACT_M:
        return []
    if known is None:
        size = "an amount that nobody states: the file brings its own shift of the datum (TOWGS84)"
    else:
        size = f"up to {known[1]:g} m" if known[0] == known[1] else f"{known[0]:g} to {known[1]:g} m, depending on the place"
    text = f"The transformation from this CRS to WGS 84 may be off by {size}."
    make = warning if known is not None and known[0] > _SMALL_M else info
    return [make("crs.inaccurate", text, "Deliver in WGS 84 if that matters.", **where)]
