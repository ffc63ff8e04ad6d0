"""Placing: from what a file states, or its uploader, to a coordinate system and a *named* height datum, and how both are known.

Nothing is placed silently: a CRS comes from the file, from the uploader, or from a guess that is reported; else the source is unplaced.
"""

from __future__ import annotations

from pyproj import CRS

from ingest.findings import error, info, warning
from ingest.placing import systems
from ingest.placing.move import accuracy_m
from ingest.reader import Placed
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement


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
    text, source, crs = _chosen(stated, given, assumed, notes)
    datum, datum_source = _height(crs, given, height, source)
    return Placed(text, source, datum, datum_source, given.origin, " ".join(notes))


def _chosen(stated: CRS | None, given: Placement, assumed: str | None, notes: list[str]) -> tuple[str | None, Known, CRS | None]:
    if given.crs:
        crs = systems.crs_from(given.crs)
        if crs is None:
            raise Invalid("placement.crs", f"The CRS {given.crs!r} is not known; give a code such as EPSG:5179, or WKT.", crs=given.crs)
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
    exact = accuracy_m(placed.crs) if placed.crs else 0.0
    if exact is None or exact > 1.0:
        size = "an unknown amount" if exact is None else f"up to {exact:g} m"
        found.append(
            info(
                "crs.inaccurate",
                f"The transformation from this CRS to WGS 84 may be off by {size}.",
                "Deliver in WGS 84 if that matters.",
                **where,
            )
        )
    return found
