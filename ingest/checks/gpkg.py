"""A GeoPackage before GDAL sees it: our own pass over the schema, read-only.

A view may hide an endless recursion, a virtual table other files; both are refused. Triggers stay: nothing is ever
written to an upload, so they cannot fire, and GDAL itself puts some into each file that it makes.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mapex.errors import Invalid

_STEPS = 200_000_000
"""Instructions of SQLite's machine that our own pass may take: some seconds."""
_RTREE = re.compile(r"^\s*CREATE\s+VIRTUAL\s+TABLE\s+.{1,200}?\s+USING\s+rtree\s*\(", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of features or attributes, and how many rows it really has (None when it cannot be counted).

    `systems`: the srs_id that gpkg_contents and gpkg_geometry_columns name, where both do.
    """

    name: str
    rows: int | None
    systems: tuple[int, int] | None = None


def tables(path: Path, name: str) -> list[Table]:
    """The content tables of a GeoPackage that is safe to open.

    Raises: Invalid: `gpkg.not_one`, `gpkg.view`, `gpkg.virtual_table`, `gpkg.generated`, `file.damaged`.
    """
    _check_size(path, name)
    try:
        with opened(path) as db:
            _check_schema(db, name)
            contents = db.execute("SELECT table_name FROM gpkg_contents WHERE data_type IN ('features', 'attributes')").fetchall()
            known = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            systems = _systems(db) if "gpkg_geometry_columns" in known else {}
            return [
                Table(table, _count(db, table), systems.get(table)) for (table,) in contents if isinstance(table, str) and table in known
            ]
    except sqlite3.Error as why:
        raise Invalid("file.damaged", f"{name} cannot be read as SQLite: {why}. Export it again.", file=name) from why


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, read-only, with a limit on what a query may cost."""
    # immutable: no lock, no journal and no -wal file is touched; what a writer left in a -wal is not part of the upload.
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        db.execute("PRAGMA trusted_schema = OFF")
        left = [_STEPS // 10_000]

        def spend() -> int:
            left[0] -= 1
            return int(left[0] < 0)

        db.set_progress_handler(spend, 10_000)
        yield db


def _check_size(path: Path, name: str) -> None:
    with path.open("rb") as stream:
        head = stream.read(100)
    if len(head) < 100 or not head.startswith(b"SQLite format 3\x00"):
        raise Invalid("gpkg.not_one", f"{name} is not a GeoPackage: it does not begin like an SQLite file.", file=name)
    page = int.from_bytes(head[16:18], "big")
    pages = int.from_bytes(head[28:32], "big")
    size = path.stat().st_size
    counted = head[24:28] == head[92:96]  # only then the page count in the header is valid (SQLite file format 1.3.8)
    if counted and size < (65536 if page == 1 else page) * pages:
        raise Invalid(
            "file.damaged", f"{name} was cut: it has {size} bytes and its header promises {page * pages}. Upload it again.", file=name
        )


def _check_schema(db: sqlite3.Connection, name: str) -> None:
    rows = db.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master LIMIT 20000").fetchall()
    if not any(kind == "table" and table == "gpkg_contents" for kind, table, _ in rows):
        raise Invalid("gpkg.not_one", f"{name} is an SQLite file, but not a GeoPackage (no table gpkg_contents).", file=name)
    views = [table for kind, table, _ in rows if kind == "view"]
    if views:
        raise Invalid("gpkg.view", f"{name} holds SQL views ({', '.join(views[:5])}), which are never run. Save them as tables.", file=name)
    for kind, table, sql in rows:
        if kind == "table" and re.match(r"^\s*CREATE\s+VIRTUAL", sql, re.IGNORECASE) and not _RTREE.match(sql):
            raise Invalid("gpkg.virtual_table", f"{name} holds the virtual table {table!r}; only R-tree indexes are allowed.", file=name)
    for kind, table, sql in rows:
        if (
            kind == "table"
            and "generated" in sql.lower()
            and any(r[6] in (2, 3) for r in db.execute(f"PRAGMA table_xinfo({quoted(table)})"))
        ):
            raise Invalid(
                "gpkg.generated", f"{name}: table {table!r} has computed columns, which are never run. Save their values.", file=name
            )


def _systems(db: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """The two srs_id of each table that has both; the standard wants them equal."""
    both = "SELECT c.table_name, c.srs_id, g.srs_id FROM gpkg_contents c JOIN gpkg_geometry_columns g ON g.table_name = c.table_name"
    try:
        rows = db.execute(both).fetchall()
    except sqlite3.Error:
        return {}  # a table without these columns: GDAL reports what it needs of them
    return {str(table): (one, other) for table, one, other in rows if isinstance(one, int) and isinstance(other, int)}


def _count(db: sqlite3.Connection, table: str) -> int | None:
    try:
        return int(db.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()[0])  # noqa: S608 - quoted as SQLite asks
    except sqlite3.Error:
        return None  # a damaged table: the reader finds out how much of it can be read


def quoted(identifier: str) -> str:
    """An identifier as SQLite asks for it."""
    return '"' + identifier.replace('"', '""') + '"'
