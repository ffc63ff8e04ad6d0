"""`mapex fsck`: the invariants of the exchange, each looked for in the stored rows and objects.

A check is some questions (`mapex.operation.invariants`) that name what breaks it; an intact exchange answers all of them with nothing.
What it cannot find is said in docs/threats.md, Known gaps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from mapex.database import db
from mapex.exchange import Exchange
from mapex.operation import invariants
from mapex.operation.invariants import RELEASED, Offender
from mapex.times import DAY_NS
from tiles.errors import ObjectMissing
from tiles.store.protocol import Area, ObjectInfo

EXAMPLES = 5
"""How many offenders a message names."""


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: `count` offenders were found; the message names the first ones."""

    name: str
    ok: bool
    message: str
    count: int


def check(ex: Exchange, *, deep: bool = False) -> list[Check]:
    """All invariants, in one consistent view of the database.

    Args:
        deep: read every object of a published version and compare its sha256; else sizes only.
    """
    with db.read(ex) as conn:
        unpublished, unreferenced = _objects(ex, conn, deep=deep)
        found = {
            "I1": ("what was acknowledged in the log is stored", invariants.lost(conn)),
            "I2": ("one key had one effect", invariants.repeated(conn)),
            "I3": ("money sums to zero, balances are what their entries say, no wallet is negative", invariants.unbalanced(conn)),
            "I4": ("orders, quotes, entitlements, money and log agree; grants and log agree", invariants.disagreeing(ex, conn)),
            "I5": ("every published tile has its object" + (" with its sha256" if deep else ""), unpublished),
            "I6": ("nothing unpublished is listed, sold or granted", invariants.leaked(conn)),
            "I7": ("no object is unreferenced for more than a day", unreferenced),
            "I10": ("no grant outside its permit, its period or its version's life", invariants.overdue(conn)),
            "I11": ("nothing is half done", invariants.halves(conn)),
            "pyramid": ("sums for estimates are those of the tiles", invariants.wrong_sums(conn)),
        }
    return [_check(name, sentence, offenders) for name, (sentence, offenders) in found.items()]


def _check(name: str, sentence: str, offenders: list[Offender]) -> Check:
    if not offenders:
        return Check(name, True, sentence, 0)
    shown = "; ".join(offenders[:EXAMPLES]) + (f"; and {len(offenders) - EXAMPLES} more" if len(offenders) > EXAMPLES else "")
    return Check(name, False, f"broken: {sentence}. {shown}", len(offenders))


# ---- objects --------------------------------------------------------------------------------------------------------------------


def _objects(ex: Exchange, conn: Connection, *, deep: bool) -> tuple[list[Offender], list[Offender]]:
    """Published tiles and previews without their object, and objects of neither: both lists are walked side by side, in key order."""
    binary = "" if db.is_sqlite(conn) else ' COLLATE "C"'
    released = f"MAX(CASE WHEN v.state IN {RELEASED} THEN 1 ELSE 0 END)"
    tiles = conn.execution_options(yield_per=10_000).execute(
        text(
            f"SELECT t.object_key{binary} AS k, MIN(t.sha256), MIN(t.bytes), MAX(t.bytes), {released} FROM "
            "(SELECT layer_id, object_key, sha256, bytes FROM tile UNION ALL "
            "SELECT layer_id, object_key, sha256, bytes FROM preview WHERE object_key IS NOT NULL) t "
            f"JOIN layer l ON l.id = t.layer_id JOIN dataset_version v ON v.id = l.version_id GROUP BY t.object_key{binary} ORDER BY 1"
        )
    )
    missing: list[Offender] = []
    loose: list[Offender] = []
    oldest = ex.now() - DAY_NS
    stored = _listed(ex)
    here = next(stored, None)

    def skip_to(key: str | None) -> None:
        nonlocal here
        while here is not None and (key is None or here.key < key):
            if here.modified_ns < oldest:
                loose.append(f"object {here.key} ({here.size} bytes)")
            here = next(stored, None)

    for key, sha256, least, most, is_released in tiles:
        skip_to(key)
        if here is None or here.key != key:
            if is_released:
                missing.append(f"object {key} of a published {_what(key)} is missing")
            continue
        if is_released and not least == most == here.size:
            missing.append(f"object {key} has {here.size} bytes and its {_what(key)} says {most}")
        elif is_released and deep and (found := _sha256(ex, key)) != sha256:
            missing.append(f"object {key} has sha256 {found} and its {_what(key)} says {sha256}")
        here = next(stored, None)
    skip_to(None)
    return missing, loose


def _what(key: str) -> str:
    return "preview" if key.startswith("previews/") else "tile"


def _listed(ex: Exchange) -> Iterator[ObjectInfo]:
    after = ""
    while page := ex.store.list(Area.DATA, after=after):
        yield from page
        after = page[-1].key


def _sha256(ex: Exchange, key: str) -> str:
    digest = hashlib.sha256()
    try:
        for piece in ex.store.read(Area.DATA, key):
            digest.update(piece)
    except ObjectMissing:
        return "(gone)"
    return digest.hexdigest()
