"""What the names of files and folders say about place and height: hints, which a file's own statement beats."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ingest.placing import systems

_CODE = re.compile(r"epsg[:_ -]?(\d{4,5})(?!\d)")
_UTM = re.compile(r"(?<![a-z0-9])utm[_ -]?(\d{1,2})[_ -]?n(?![a-z0-9])")
_UTM_K = re.compile(r"(?<![a-z0-9])utm[_ -]?k(?![a-z0-9])")
_BARE = re.compile(r"(?<![a-z0-9])(\d{4,5})(?![a-z0-9])")
_BARE_CODES = frozenset({"4326", "5173", "5174", "5176", "5179", "5181", "5183", "5185", "5186", "5187", "5188", "32651", "32652"})
"""Numbers in a name that are hardly anything but the code of a system."""

_ELLIPSOIDAL, _ORTHOMETRIC = ("타원체고", "ellipsoid"), ("정표고", "orthometric")


def system_of(names: Iterable[str]) -> str | None:
    """The system that names state (`roads_5186.gpkg`, `EPSG_5186`, NGII's `UTMK` and `UTM52N`); None when they state none, or several."""
    text = _plain(names)
    codes = {match[1] for match in _CODE.finditer(text)} | ({match[1] for match in _BARE.finditer(text)} & _BARE_CODES)
    codes |= {f"{32600 + int(match[1])}" for match in _UTM.finditer(text) if 1 <= int(match[1]) <= 60}
    codes |= {"5179"} if _UTM_K.search(text) else set()
    found = f"EPSG:{codes.pop()}" if len(codes) == 1 else None
    return found if systems.crs_from(found) is not None else None


def height_of(names: Iterable[str]) -> str | None:
    """NGII names its products by their heights: ellipsoidal (타원체고) or orthometric by KNGeoid (정표고). None for neither, or both."""
    text = _plain(names)
    ellipsoidal, orthometric = (any(word in text for word in words) for words in (_ELLIPSOIDAL, _ORTHOMETRIC))
    if ellipsoidal == orthometric:
        return None
    return "ellipsoid" if ellipsoidal else "KNGeoid"


def _plain(names: Iterable[str]) -> str:
    return unicodedata.normalize("NFC", " ".join(names)).lower()
