"""The words of pages: vocabulary and error codes as sentences, in the language of the request.

Servers and services speak in codes; what people read is here and in `translations/`. A code without a sentence shows the
message of the service (English).
"""

from __future__ import annotations

import re
from typing import Any

from flask_babel import gettext, lazy_gettext

from mapex.audit.log import Action
from mapex.rules.licences import LICENCES, HandlingClass, Purpose
from tiles.batch import Kind, LayerKind
from tiles.formats import of_kind
from web.words.errors import ERRORS
from web.words.language import language
from web.words.units import UNITS

KINDS: dict[str, Any] = {
    LayerKind.HDMAP: lazy_gettext("HD lanes"),
    LayerKind.SIDEWALK: lazy_gettext("Sidewalks"),
    LayerKind.POINTCLOUD: lazy_gettext("Point cloud"),
    LayerKind.RECORDING: lazy_gettext("Drive recording"),
    LayerKind.PHOTOS: lazy_gettext("Photos"),
    LayerKind.VIDEO: lazy_gettext("Video"),
}
FORMAT_NAMES = {"geoparquet": "GeoParquet", "laz": "LAZ", "mcap": "MCAP", "photo_tar": "JPEG (tar)", "mp4": "MP4"}
"""Names of the tile formats (`tiles.formats`): the same in every language."""
FORMATS: dict[str, str] = {kind: FORMAT_NAMES[of_kind(kind).name] for kind in LayerKind}
"""In what the tiles of each kind come."""
FEATURES: dict[str, Any] = {
    Kind.LANE_CENTRE: lazy_gettext("lane centre lines"),
    Kind.LANE_BORDER: lazy_gettext("lane borders"),
    Kind.LANE_AREA: lazy_gettext("lane areas"),
    Kind.STOP_LINE: lazy_gettext("stop lines"),
    Kind.CROSSING: lazy_gettext("crossings"),
    Kind.SIDEWALK: lazy_gettext("sidewalks"),
    Kind.CYCLEWAY: lazy_gettext("cycleways"),
    Kind.KERB: lazy_gettext("kerbs"),
    Kind.SIGN: lazy_gettext("signs"),
    Kind.SIGNAL: lazy_gettext("signals"),
    Kind.POLE: lazy_gettext("poles"),
    Kind.MARKING: lazy_gettext("markings"),
    Kind.BARRIER: lazy_gettext("barriers"),
    Kind.JUNCTION: lazy_gettext("junctions"),
    Kind.NODE: lazy_gettext("nodes"),
    Kind.OTHER: lazy_gettext("other features"),
}
"""Kinds of features."""
VALUES = {
    "text": lazy_gettext("text"),
    "number": lazy_gettext("number"),
    "flag": lazy_gettext("yes or no"),
    "list": lazy_gettext("list"),
    "object": lazy_gettext("nested"),
    "several": lazy_gettext("several types"),
}
"""Types of attributes."""
SORTS = {
    "best": lazy_gettext("best match"),
    "newest": lazy_gettext("newest publication"),
    "freshest": lazy_gettext("seen most recently"),
    "quality": lazy_gettext("best quality"),
    "title": lazy_gettext("title"),
    "tiles": lazy_gettext("most tiles"),
}
"""Orders of the catalogue."""
COLOURS = {
    "available": lazy_gettext("Available"),
    "fresh": lazy_gettext("Fresh"),
    "quality": lazy_gettext("Quality"),
}
KNOWN = {
    "file": lazy_gettext("stated by the files"),
    "given": lazy_gettext("given by the seller"),
    "guessed": lazy_gettext("recognised, not stated exactly"),
    "none": lazy_gettext("not known"),
}
CLASSES: dict[str, Any] = {
    HandlingClass.OPEN: lazy_gettext("open"),
    HandlingClass.RESTRICTED: lazy_gettext("restricted"),
    HandlingClass.PSEUDONYMISED: lazy_gettext("pseudonymised"),
    HandlingClass.ORIGINAL: lazy_gettext("original"),
}
PURPOSES: dict[str, Any] = {
    Purpose.RESEARCH: lazy_gettext("Research"),
    Purpose.PERCEPTION_TRAINING: lazy_gettext("Perception training"),
    Purpose.LOCALISATION: lazy_gettext("Localisation"),
    Purpose.ROUTE_PLANNING: lazy_gettext("Route planning"),
    Purpose.SAFETY_VALIDATION: lazy_gettext("Safety validation"),
    Purpose.SIMULATION: lazy_gettext("Simulation"),
    Purpose.MAP_PRODUCTION: lazy_gettext("Map production"),
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
    "open": lazy_gettext("waiting for approval"),
    "refused": lazy_gettext("refused"),
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
HEIGHT_NAMES = {
    **HEIGHTS,
    "KNGeoid": lazy_gettext("Incheon mean sea level by the KNGeoid (KVD1964)"),
    "mean sea level": lazy_gettext("Mean sea level"),
    "several": lazy_gettext("several, by file"),
}
"""All of `HEIGHTS`, which a seller chooses from, and what readers find."""
SEVERITIES = {
    "error": lazy_gettext("error"),
    "question": lazy_gettext("question"),
    "warning": lazy_gettext("warning"),
    "info": lazy_gettext("note"),
}
ROLES = {"member": lazy_gettext("member"), "auditor": lazy_gettext("auditor"), "operator": lazy_gettext("operator")}
ACTIONS: dict[str, Any] = {
    Action.ORG_ADDED: lazy_gettext("Organisation added"),
    Action.ORG_SUSPENDED: lazy_gettext("Organisation suspended"),
    Action.ORG_RESUMED: lazy_gettext("Organisation resumed"),
    Action.SIGNER_RETIRED: lazy_gettext("Download addresses ended"),
    Action.DOMAIN_ADDED: lazy_gettext("Mail domain entered"),
    Action.DOMAIN_REMOVED: lazy_gettext("Mail domain removed"),
    Action.BUSINESS_SET: lazy_gettext("Business details entered"),
    Action.PERSON_INVITED: lazy_gettext("Person invited"),
    Action.PERSON_ADDED: lazy_gettext("Person added"),
    Action.PERSON_SUSPENDED: lazy_gettext("Person suspended"),
    Action.PERSON_RESUMED: lazy_gettext("Person resumed"),
    Action.PERSON_ROLE_CHANGED: lazy_gettext("Role changed"),
    Action.PERSON_PASSWORD_SET: lazy_gettext("Password set"),
    Action.PERSON_PROVEN: lazy_gettext("Address proven"),
    Action.RIGHT_SET: lazy_gettext("Right to pay changed"),
    Action.PERSON_DISPLACED: lazy_gettext("Unproven address taken away"),
    Action.INVITATION_HANDED_OUT: lazy_gettext("Link of an invitation handed out"),
    Action.INVITATION_REVOKED: lazy_gettext("Invitation revoked"),
    Action.RESET_SENT: lazy_gettext("Link for a new password made"),
    Action.APPLICATION_RECEIVED: lazy_gettext("Registration received"),
    Action.APPLICATION_PROVEN: lazy_gettext("Address of a registration proven"),
    Action.APPLICATION_ACCEPTED: lazy_gettext("Registration accepted"),
    Action.APPLICATION_REFUSED: lazy_gettext("Registration refused"),
    Action.APPLICATION_CLEARED: lazy_gettext("Registration deleted"),
    Action.SESSION_OPENED: lazy_gettext("Signed in"),
    Action.SESSION_REFUSED: lazy_gettext("Sign-in refused"),
    Action.SESSION_CLOSED: lazy_gettext("Signed out"),
    Action.SESSION_ENDED: lazy_gettext("Session ended"),
    Action.SESSION_CONFIRMED: lazy_gettext("Person confirmed"),
    Action.FACTOR_ADDED: lazy_gettext("Second factor added"),
    Action.FACTOR_REMOVED: lazy_gettext("Second factor removed"),
    Action.FACTOR_REFUSED: lazy_gettext("Code refused"),
    Action.FACTORS_RESET: lazy_gettext("Second factors reset"),
    Action.RECOVERY_MADE: lazy_gettext("Recovery codes made"),
    Action.RECOVERY_USED: lazy_gettext("Recovery code used"),
    Action.TOKEN_CREATED: lazy_gettext("Token made"),
    Action.TOKEN_REVOKED: lazy_gettext("Token revoked"),
    Action.PERMIT_ADDED: lazy_gettext("Permit entered"),
    Action.PERMIT_SUSPENDED: lazy_gettext("Permit suspended"),
    Action.PERMIT_RESUMED: lazy_gettext("Permit resumed"),
    Action.PERMIT_REVOKED: lazy_gettext("Permit revoked"),
    Action.PERMIT_REQUESTED: lazy_gettext("Entry of a permit requested"),
    Action.PERMIT_REQUEST_ACCEPTED: lazy_gettext("Request for a permit accepted"),
    Action.PERMIT_REQUEST_REFUSED: lazy_gettext("Request for a permit refused"),
    Action.PERMIT_REQUEST_WITHDRAWN: lazy_gettext("Request for a permit withdrawn"),
    Action.UPLOAD_STAGED: lazy_gettext("File received"),
    Action.UPLOAD_COMPLETED: lazy_gettext("Upload completed"),
    Action.UPLOAD_ABORTED: lazy_gettext("Upload given up"),
    Action.DATASET_CREATED: lazy_gettext("Dataset created"),
    Action.DATASET_REMOVED: lazy_gettext("Dataset removed"),
    Action.DATASET_DESCRIBED: lazy_gettext("Dataset described"),
    Action.SELLER_DESCRIBED: lazy_gettext("Seller described"),
    Action.VERSION_STARTED: lazy_gettext("Version started"),
    Action.VERSION_PLACED: lazy_gettext("Version placed"),
    Action.VERSION_REDUCED: lazy_gettext("Files left out of a version"),
    Action.VERSION_UNPLACED: lazy_gettext("Version waits for its place"),
    Action.VERSION_REJECTED: lazy_gettext("Version rejected"),
    Action.VERSION_DRAFTED: lazy_gettext("Version ready to publish"),
    Action.VERSION_CLASSIFIED: lazy_gettext("Handling class set"),
    Action.REVIEW_REQUESTED: lazy_gettext("Review of footage requested"),
    Action.REVIEW_BEGUN: lazy_gettext("Review of footage begun"),
    Action.REVIEW_REFUSED: lazy_gettext("Footage not accepted as pseudonymised"),
    Action.REVIEW_READ: lazy_gettext("Document of a review read"),
    Action.FOOTAGE_LOOKED_AT: lazy_gettext("Footage looked at for a review"),
    Action.FOOTAGE_CLEARED: lazy_gettext("Footage cleared on proof"),
    Action.VERSION_PUBLISHED: lazy_gettext("Version published"),
    Action.VERSION_WITHDRAWN: lazy_gettext("Version withdrawn"),
    Action.VERSION_RECALLED: lazy_gettext("Version recalled"),
    Action.VERSION_REMOVED: lazy_gettext("Version removed"),
    Action.JOB_FAILED: lazy_gettext("Conversion failed"),
    Action.JOB_CANCELLED: lazy_gettext("Conversion cancelled"),
    Action.JOB_RETRIED: lazy_gettext("Conversion tried again"),
    Action.OFFER_PUBLISHED: lazy_gettext("Offer published"),
    Action.OFFER_WITHDRAWN: lazy_gettext("Offer withdrawn"),
    Action.QUOTE_MADE: lazy_gettext("Price held"),
    Action.APPROVAL_ASKED: lazy_gettext("Approval asked for"),
    Action.APPROVAL_RENEWED: lazy_gettext("Price asked anew for an approval"),
    Action.APPROVAL_REFUSED: lazy_gettext("Approval refused"),
    Action.APPROVAL_WITHDRAWN: lazy_gettext("Request for approval withdrawn"),
    Action.ORDER_PLACED: lazy_gettext("Order paid"),
    Action.ORDER_NAMED: lazy_gettext("Named users set"),
    Action.ORDER_REFUNDED: lazy_gettext("Payment returned"),
    Action.WALLET_CREDITED: lazy_gettext("Wallet credited"),
    Action.SETTLEMENT_CLOSED: lazy_gettext("Month settled"),
    Action.SETTLEMENT_PAID: lazy_gettext("Settlement paid"),
    Action.VAT_PAID: lazy_gettext("VAT paid"),
    Action.FEE_DRAWN: lazy_gettext("Fee drawn"),
    Action.ACCESS_GRANTED: lazy_gettext("Tile handed out"),
    Action.ACCESS_REFUSED: lazy_gettext("Tile refused"),
    Action.SAMPLE_TAKEN: lazy_gettext("Sample taken"),
    Action.QUESTION_SENT: lazy_gettext("Question sent"),
    Action.EXCHANGE_EXAMINED: lazy_gettext("Exchange attacked by its doctor"),
    Action.AUDIT_READ: lazy_gettext("Log read"),
    Action.AUDIT_VERIFIED: lazy_gettext("Log verified"),
}
MOVEMENTS = {
    "credit": lazy_gettext("credit"),
    "purchase": lazy_gettext("purchase"),
    "sale": lazy_gettext("sale"),
    "refund": lazy_gettext("refund"),
    "settlement": lazy_gettext("VAT of a settlement"),
    "payout": lazy_gettext("payout"),
}
"""What changed a wallet; an order is a purchase or a sale."""
SETTLEMENTS = {
    "due": lazy_gettext("due"),
    "paid": lazy_gettext("paid out"),
    "none": lazy_gettext("nothing to pay"),
}
"""States of settlements."""
FACTORS = {
    "password": lazy_gettext("password"),
    "totp": lazy_gettext("authenticator app"),
    "passkey": lazy_gettext("passkey"),
    "recovery": lazy_gettext("recovery code"),
    "invitation": lazy_gettext("invitation"),
    "demo": lazy_gettext("demonstration"),
}
"""With what somebody has shown who it is."""
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
HANDED = {
    "mail": lazy_gettext("by mail"),
    "operator": lazy_gettext("handed out by the operator"),
    "": lazy_gettext("waits for the operator"),
}
PERMIT_WAYS = {
    "permit.missing": lazy_gettext("Have a permit entered"),
    "permit.expired": lazy_gettext("Renew it"),
    "permit.purpose": lazy_gettext("Have a permit entered"),
    "permit.area": lazy_gettext("Have a permit entered"),
    "permit.revoked": lazy_gettext("Have a permit entered"),
}
"""Refusals that an organisation can mend by a permit that is entered, and the words of the link to where it asks for that."""
DECISIONS = {
    "open": lazy_gettext("waits for the operator"),
    "accepted": lazy_gettext("accepted"),
    "refused": lazy_gettext("refused"),
    "withdrawn": lazy_gettext("taken back"),
}
THEMES = {"system": lazy_gettext("as the system"), "light": lazy_gettext("light"), "dark": lazy_gettext("dark")}
STAGES = {
    "fetch": lazy_gettext("fetching the files"),
    "read": lazy_gettext("reading and checking"),
    "tile": lazy_gettext("cutting into tiles"),
    "verify": lazy_gettext("verifying each tile"),
    "compare": lazy_gettext("comparing with the version before"),
    "preview": lazy_gettext("making previews"),
    "store": lazy_gettext("storing the tiles"),
    "draft": lazy_gettext("writing the manifest"),
}
WAITS = {
    "scheduler": lazy_gettext("waiting for the Dask scheduler"),
    "workers": lazy_gettext("waiting for Dask workers"),
}
"""What a job that runs waits for, in the place of its stage."""
CHECKS = {
    "fetch": lazy_gettext("The files arrived whole"),
    "read": lazy_gettext("Format, place, geometry and attributes are checked"),
    "tile": lazy_gettext("Cut into tiles"),
    "verify": lazy_gettext("Every tile is counted again"),
    "compare": lazy_gettext("What differs from the version before is counted"),
    "preview": lazy_gettext("Previews are made"),
    "store": lazy_gettext("Tiles are stored"),
    "draft": lazy_gettext("The manifest is written"),
}


def label(table: dict[str, Any], code: str) -> str:
    """The word for a code, or the code itself."""
    return str(table.get(code, code))


_LOCAL_FRAME = re.compile(r"\+proj=tmerc \+lat_0=(\S+) \+lon_0=(\S+) \+k=1 \+x_0=0 \+y_0=0 \+ellps=WGS84 ")
"""What stands for the metres of a sensor or site around a place that the seller named (`ingest.placing.systems.local_frame`)."""


def crs_name(text: str | None) -> str:
    """How to call a coordinate system on a page: its code, else the name that is quoted first in its WKT; never more than a line."""
    if not text:
        return ""
    if text == "several":
        return str(HEIGHT_NAMES[text])
    if frame := _LOCAL_FRAME.match(text):
        return str(gettext("metres around %(lat)s, %(lon)s", lat=frame[1], lon=frame[2]))
    quoted = text.split('"')
    return (quoted[1] if len(quoted) > 2 and "[" in quoted[0] else text)[:60]


def vocabulary() -> dict[str, dict[str, str]]:
    """The words that scripts need, as JSON for the page."""
    tables = {
        "kinds": KINDS,
        "formats": FORMATS,
        "features": FEATURES,
        "classes": CLASSES,
        "units": UNITS,
        "licences": {code: licence.name[0 if language() == "ko" else 1] for code, licence in LICENCES.items()},
        "purposes": PURPOSES,
        "states": STATES,
        "severities": SEVERITIES,
        "systems": SYSTEMS,
        "themes": THEMES,
        "errors": ERRORS,
        "permitWays": PERMIT_WAYS,
    }
    return {name: {code: str(text) for code, text in table.items()} for name, table in tables.items()}
