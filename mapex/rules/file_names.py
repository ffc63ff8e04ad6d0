"""Names of files on somebody's disk: one file each, and the same one, on Linux, macOS and Windows.

A disk may take `Map`, `map` and a name in another form of its accents for one, refuse `con` and `a:b`, or drop a dot at the end. A name
that every disk keeps stays as it is; any other becomes one that is ours. What it becomes depends on itself alone, so that it is the same
in each run, whatever is beside it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from tiles.formats import MANIFEST, OLD_MANIFEST

_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))})
"""What Windows takes for a device, in every folder and with every ending."""
_FOLDER = re.compile(r"[a-z0-9_][a-z0-9_-]{0,127}")
_FILE = re.compile(r"([a-z0-9_][a-z0-9_-]{0,127})((?:\.[a-z0-9]{1,16}){1,3})")
_ENDING = re.compile(r"\.[a-z0-9]{1,16}")
_UNFINISHED = ".part"
_LONGEST_PATH, _LONGEST_NAME, _DEEPEST = 240, 60, 8  # letters of a path (Windows takes 260), bytes of a name that is ours


def is_reserved(name: str) -> bool:
    """Whether a small, plain name is a device of Windows, so that nothing can be called so."""
    return name in _RESERVED


def _is_ours(name: str) -> bool:
    """Whether a file of this name, in any capitals, is one that a download itself puts beside the others."""
    return name in (MANIFEST, OLD_MANIFEST, "readme.txt") or name.startswith("licence-")


def portable(path: str) -> str:
    """The path of a file below a folder of the reader's, for the path that it has elsewhere; different paths become different ones.

    None is a link upwards, a device, hidden, an option of a command, a manifest, or the beginning of another file.
    """
    *folders, name = path.split("/")
    found = "/".join([*map(_folder, folders), _file(name, is_alone=not folders)])
    if len(found) > _LONGEST_PATH or len(folders) > _DEEPEST:
        return _ours(name, f"{path}//")
    return found


def _folder(name: str) -> str:
    return name if _FOLDER.fullmatch(name) and not is_reserved(name) else _ours(name, f"{name}/", ending="")


def _file(name: str, *, is_alone: bool) -> str:
    plain = _FILE.fullmatch(name)
    is_taken = plain is None or is_reserved(plain[1]) or name.endswith(_UNFINISHED) or (is_alone and _is_ours(name))
    return _ours(name, name) if is_taken else name


def _ours(name: str, whole: str, ending: str | None = None) -> str:
    """A readable beginning, and what makes it the only one: no plain name has a `~`, and no two of ours the same letters behind it."""
    stem, dot, last = name.rpartition(".")
    if ending is None:
        is_plain = bool(stem) and _ENDING.fullmatch(dot + last.lower()) is not None and dot + last.lower() != _UNFINISHED
        ending = dot + last.lower() if is_plain else ""
        name = stem if is_plain else name
    small = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    clean = re.sub(r"[^\w-]", "_", small).lstrip("-").encode()[:_LONGEST_NAME].decode("utf-8", "ignore")
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{clean or '_'}~{digest}{ending}"
