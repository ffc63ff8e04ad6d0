"""The words of pages: vocabulary and error codes as sentences, in the language of the request.

Servers and services speak in codes; what people read is here and in `translations/`. A code without a sentence shows the
message of the service (English).
"""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import Any

from flask_babel import lazy_gettext, ngettext

from mapex.rules.licence_texts import TEXTS
from mapex.rules.licences import CLASS_LINES, LICENCES, HandlingClass
from mapex.times import KST, NS, ns_from_iso
from tiles.batch import LayerKind
from tiles.formats import of_kind
from web.words.errors import ERRORS
from web.words.language import language

KINDS = {
    "hdmap": lazy_gettext("HD lanes"),
    "sidewalk": lazy_gettext("Sidewalks"),
    "pointcloud": lazy_gettext("Point cloud"),
    "recording": lazy_gettext("Drive recording"),
    "photos": lazy_gettext("Photos"),
}
FORMAT_NAMES = {"geoparquet": "GeoParquet", "laz": "LAZ", "mcap": "MCAP", "photo_tar": "JPEG (tar)"}
"""Names of the tile formats (`tiles.formats`): the same in every language."""
FORMATS = {str(kind): FORMAT_NAMES[of_kind(kind).name] for kind in LayerKind}
"""In what the tiles of each kind come."""
COLOURS = {
    "available": lazy_gettext("Available"),
    "fresh": lazy_gettext("Fresh"),
    "quality": lazy_gettext("Quality"),
}
KNOWN = {
    "file": lazy_gettext("said by the files"),
    "given": lazy_gettext("given by the seller"),
    "guessed": lazy_gettext("recognised, not said exactly"),
    "none": lazy_gettext("not known"),
}
CLASSES = {
    "open": lazy_gettext("open"),
    "restricted": lazy_gettext("restricted"),
    "pseudonymised": lazy_gettext("pseudonymised"),
    "original": lazy_gettext("original"),
}
UNITS = {
    "lane_km": lazy_gettext("lane-km"),
    "footway_km": lazy_gettext("footway-km"),
    "cycleway_km": lazy_gettext("cycleway-km"),
    "crossing": lazy_gettext("crossings"),
    "sign": lazy_gettext("signs"),
    "signal": lazy_gettext("signals"),
    "million_points": lazy_gettext("M points"),
    "frame": lazy_gettext("frames"),
    "minute": lazy_gettext("minutes"),
    "gb": lazy_gettext("GB"),
}
PURPOSES = {
    "research": lazy_gettext("Research"),
    "perception_training": lazy_gettext("Perception training"),
    "localisation": lazy_gettext("Localisation"),
    "route_planning": lazy_gettext("Route planning"),
    "safety_validation": lazy_gettext("Safety validation"),
    "simulation": lazy_gettext("Simulation"),
    "map_production": lazy_gettext("Map production"),
}
STATES = {
    "ingesting": lazy_gettext("checking"),
    "unplaced": lazy_gettext("needs a place"),
    "rejected": lazy_gettext("rejected"),
    "draft": lazy_gettext("ready to publish"),
    "published": lazy_gettext("on sale"),
    "superseded": lazy_gettext("superseded"),
    "withdrawn": lazy_gettext("withdrawn"),
    "recalled": lazy_gettext("recalled"),
    "queued": lazy_gettext("waiting"),
    "running": lazy_gettext("running"),
    "done": lazy_gettext("done"),
    "failed": lazy_gettext("failed"),
    "cancelled": lazy_gettext("cancelled"),
    "paid": lazy_gettext("paid"),
    "ready": lazy_gettext("ready"),
    "active": lazy_gettext("active"),
    "suspended": lazy_gettext("suspended"),
    "revoked": lazy_gettext("revoked"),
}
SYSTEMS = {
    "EPSG:5186": lazy_gettext("Korea central belt, GRS80, 600,000 m"),
    "EPSG:5187": lazy_gettext("Korea east belt, GRS80, 600,000 m"),
    "EPSG:5185": lazy_gettext("Korea west belt, GRS80, 600,000 m"),
    "EPSG:5188": lazy_gettext("Korea East Sea belt, GRS80, 600,000 m"),
    "EPSG:5179": lazy_gettext("Korea unified system (UTM-K), GRS80"),
    "EPSG:32652": lazy_gettext("UTM zone 52 north, WGS 84"),
    "EPSG:32651": lazy_gettext("UTM zone 51 north, WGS 84"),
    "EPSG:4326": lazy_gettext("Longitude and latitude, WGS 84"),
    "EPSG:4737": lazy_gettext("Longitude and latitude, KGD2002"),
    "EPSG:5174": lazy_gettext("Korea modified central belt, Bessel (old)"),
    "EPSG:5176": lazy_gettext("Korea modified east belt, Bessel (old)"),
    "EPSG:5173": lazy_gettext("Korea modified west belt, Bessel (old)"),
    "EPSG:5181": lazy_gettext("Korea central belt, GRS80, 500,000 m"),
    "EPSG:5183": lazy_gettext("Korea east belt, GRS80, 500,000 m"),
    "EPSG:5180": lazy_gettext("Korea west belt, GRS80, 500,000 m"),
    "EPSG:2097": lazy_gettext("Korea central belt, Bessel (old)"),
    "EPSG:2096": lazy_gettext("Korea east belt, Bessel (old)"),
}
HEIGHTS = {
    "KVD1964": lazy_gettext("Incheon mean sea level (KVD1964)"),
    "ellipsoid": lazy_gettext("Height above the ellipsoid (GNSS)"),
    "EGM2008": lazy_gettext("EGM2008 geoid"),
    "EGM96": lazy_gettext("EGM96 geoid"),
    "NAVD88": lazy_gettext("NAVD88 (North America)"),
    "DHHN2016": lazy_gettext("DHHN2016 (Germany)"),
}
SEVERITIES = {"error": lazy_gettext("error"), "warning": lazy_gettext("warning"), "info": lazy_gettext("note")}
ROLES = {"member": lazy_gettext("member"), "auditor": lazy_gettext("auditor"), "operator": lazy_gettext("operator")}
ACTIONS = {
    "org.added": lazy_gettext("Organisation added"),
    "org.suspended": lazy_gettext("Organisation suspended"),
    "org.resumed": lazy_gettext("Organisation resumed"),
    "person.invited": lazy_gettext("Person invited"),
    "person.added": lazy_gettext("Person added"),
    "person.suspended": lazy_gettext("Person suspended"),
    "person.resumed": lazy_gettext("Person resumed"),
    "person.role_changed": lazy_gettext("Role changed"),
    "person.password_set": lazy_gettext("Password set"),
    "invitation.revoked": lazy_gettext("Invitation revoked"),
    "session.opened": lazy_gettext("Signed in"),
    "session.refused": lazy_gettext("Sign-in refused"),
    "session.closed": lazy_gettext("Signed out"),
    "token.created": lazy_gettext("Token made"),
    "token.revoked": lazy_gettext("Token revoked"),
    "permit.added": lazy_gettext("Permit entered"),
    "permit.suspended": lazy_gettext("Permit suspended"),
    "permit.resumed": lazy_gettext("Permit resumed"),
    "permit.revoked": lazy_gettext("Permit revoked"),
    "upload.staged": lazy_gettext("File received"),
    "upload.completed": lazy_gettext("Upload completed"),
    "upload.aborted": lazy_gettext("Upload given up"),
    "dataset.created": lazy_gettext("Dataset created"),
    "version.started": lazy_gettext("Version started"),
    "version.placed": lazy_gettext("Version placed"),
    "version.unplaced": lazy_gettext("Version waits for its place"),
    "version.rejected": lazy_gettext("Version rejected"),
    "version.drafted": lazy_gettext("Version ready to publish"),
    "version.classified": lazy_gettext("Handling class set"),
    "footage.cleared": lazy_gettext("Footage cleared on proof"),
    "version.published": lazy_gettext("Version published"),
    "version.withdrawn": lazy_gettext("Version withdrawn"),
    "version.recalled": lazy_gettext("Version recalled"),
    "job.failed": lazy_gettext("Conversion failed"),
    "job.cancelled": lazy_gettext("Conversion cancelled"),
    "job.retried": lazy_gettext("Conversion tried again"),
    "offer.published": lazy_gettext("Offer published"),
    "offer.withdrawn": lazy_gettext("Offer withdrawn"),
    "quote.made": lazy_gettext("Price held"),
    "order.placed": lazy_gettext("Order paid"),
    "order.named": lazy_gettext("Named users set"),
    "wallet.credited": lazy_gettext("Wallet credited"),
    "access.granted": lazy_gettext("Tile handed out"),
    "access.refused": lazy_gettext("Tile refused"),
    "audit.read": lazy_gettext("Log read"),
    "audit.verified": lazy_gettext("Log verified"),
}
ACTORS = {"system": lazy_gettext("the exchange itself")}
MAP_KEYS = [
    ("P", lazy_gettext("Polygon")),
    ("R", lazy_gettext("Box")),
    ("T", lazy_gettext("Tiles")),
    ("Enter", lazy_gettext("Finish the outline")),
    ("Esc", lazy_gettext("Cancel drawing")),
    ("Ctrl + Z", lazy_gettext("Undo")),
    ("← ↑ → ↓", lazy_gettext("Move the map")),
    ("?", lazy_gettext("This list")),
]
CLOUD_KEYS = [
    ("← ↑ → ↓", lazy_gettext("Turn")),
    ("Shift + ← ↑ → ↓", lazy_gettext("Move aside")),
    ("+", lazy_gettext("Nearer")),
    ("-", lazy_gettext("Farther")),
    ("0", lazy_gettext("Reset view")),
]
SCOPES = {
    "read": lazy_gettext("look and ask"),
    "buy": lazy_gettext("hold prices and pay"),
    "sell": lazy_gettext("upload and publish"),
    "audit": lazy_gettext("read the log"),
    "operate": lazy_gettext("run the exchange"),
}
THEMES = {"system": lazy_gettext("as the system"), "light": lazy_gettext("light"), "dark": lazy_gettext("dark")}
STAGES = {
    "fetch": lazy_gettext("fetching the files"),
    "read": lazy_gettext("reading and checking"),
    "tile": lazy_gettext("cutting into tiles"),
    "verify": lazy_gettext("verifying each tile"),
    "preview": lazy_gettext("making previews"),
    "store": lazy_gettext("storing the tiles"),
    "draft": lazy_gettext("writing the manifest"),
}
CHECKS = {
    "fetch": lazy_gettext("The files arrived whole"),
    "read": lazy_gettext("Format, place, geometry and attributes are checked"),
    "tile": lazy_gettext("Cut into tiles"),
    "verify": lazy_gettext("Every tile is counted again"),
    "preview": lazy_gettext("Previews are made"),
    "store": lazy_gettext("Tiles are stored"),
    "draft": lazy_gettext("The manifest is written"),
}


def label(table: dict[str, Any], code: str) -> str:
    """The word for a code, or the code itself."""
    return str(table.get(code, code))


def licence_words(code: str) -> dict[str, Any]:
    """Name, the five lines and the purposes of a licence."""
    one = 0 if language() == "ko" else 1
    licence = LICENCES[code]
    return {
        "code": code,
        "name": licence.name[one],
        "lines": [line[one] for line in licence.lines],
        "purposes": sorted(licence.purposes),
        "text": [clause[one] for clause in TEXTS[code]],
    }


def licence_difference(old: str, new: str) -> list[tuple[str, str]]:
    """The clauses of two licences as `("-" | "+" | "=", clause)`: gone, new, kept; in the order of a text difference."""
    one = 0 if language() == "ko" else 1
    before, after = ([clause[one] for clause in TEXTS[code]] for code in (old, new))
    found: list[tuple[str, str]] = []
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            found += [("=", clause) for clause in before[a:b]]
        else:
            found += [("-", clause) for clause in before[a:b]] + [("+", clause) for clause in after[c:d]]
    return found


def class_line(code: str) -> str:
    """One line about a handling class."""
    return CLASS_LINES[HandlingClass(code)][0 if language() == "ko" else 1]


def vocabulary() -> dict[str, dict[str, str]]:
    """The words that scripts need, as JSON for the page."""
    tables = {
        "kinds": KINDS,
        "formats": FORMATS,
        "classes": CLASSES,
        "units": UNITS,
        "licences": {code: licence.name[0 if language() == "ko" else 1] for code, licence in LICENCES.items()},
        "purposes": PURPOSES,
        "states": STATES,
        "severities": SEVERITIES,
        "systems": SYSTEMS,
        "themes": THEMES,
        "errors": ERRORS,
    }
    return {name: {code: str(text) for code, text in table.items()} for name, table in tables.items()}


def won(amount: int) -> str:
    """Whole KRW."""
    return f"{'-' if amount < 0 else ''}₩{abs(amount):,}"


def day(at: int | str | None) -> str:
    """A date for people, in Korean time, of nanoseconds or of ISO 8601 text."""
    at_ns = ns_from_iso(at) if isinstance(at, str) else at
    return moment(at_ns)[:10]


def moment(at_ns: int | None) -> str:
    """A time for people, in Korean time, said so."""
    if at_ns is None:
        return ""
    local = datetime.fromtimestamp(at_ns // NS, UTC).astimezone(KST)
    return f"{local:%Y-%m-%d %H:%M:%S} KST"


def clock(at_ns: int) -> str:
    """The time of day, in Korean time, said so."""
    return f"{datetime.fromtimestamp(at_ns // NS, UTC).astimezone(KST):%H:%M} KST"


def kst(at_ns: int) -> str:
    """A time for auditors: Korean time with its offset."""
    local = datetime.fromtimestamp(at_ns // NS, UTC).astimezone(KST)
    return f"{local:%Y-%m-%d %H:%M:%S} +09:00"


def size(count: int) -> str:
    """Bytes for people, decimal units."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def plain(value: float) -> str:
    """A coordinate as a file writes it, to the centimetre."""
    return f"{value:.2f}" if abs(value) > 360 else f"{value:.6f}"


def n_(one: str, many: str, count: int, **values: object) -> str:
    """The sentence for one or for many of what is counted; `%(count)s` is the count, written out."""
    return str(ngettext(one, many, count, count=number(count), **values))


def counted(severity: str, count: int) -> str:
    """So many findings of a severity."""
    if severity == "error":
        return n_("%(count)s error", "%(count)s errors", count)
    if severity == "warning":
        return n_("%(count)s warning", "%(count)s warnings", count)
    return n_("%(count)s note", "%(count)s notes", count)


def number(value: float) -> str:
    """A count with thousands, or up to three digits after the point (more for very small amounts)."""
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.3f}".rstrip("0").rstrip(".") if abs(value) >= 0.001 else f"{value:.2g}"
