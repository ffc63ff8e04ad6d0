"""What an entry did once and nothing changes later: quotes and grants, compared as the log is read, for there may be millions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, String, bindparam, text

from mapex.audit.log import Action
from mapex.operation.invariants.asking import Offender, member
from mapex.operation.replay.kind import Fields, Payload, at_another_time, differing

CHUNK = 500
"""Rows that are looked up at once."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One action that writes one row: `member` of the payload is its id in `table`.

    `fields` are the words for what the log says of it, each with the member of the payload ("" where it is absent) and the SQL of what
    is stored, in a query that joins `joined`; `at` is the column of its time.
    """

    what: str
    action: Action
    member: str
    table: str
    joined: str
    fields: tuple[tuple[str, str, str], ...]
    at: str


QUOTE = Deed(
    "quote",
    Action.QUOTE_MADE,
    "quote",
    "quote",
    "JOIN organisation g ON g.id = t.org_id JOIN person p ON p.id = t.person_id",
    (
        ("organisation", "org", "g.slug"),
        ("person", "person", "p.email"),
        ("purpose", "purpose", "t.purpose"),
        ("total", "total", "t.total"),
        ("tiles", "tiles_sha256", "t.tiles_sha256"),
    ),
    "t.created_ns",
)

GRANT = Deed(
    "grant",
    Action.ACCESS_GRANTED,
    "grant",
    "access_grant",
    "JOIN organisation g ON g.id = t.org_id JOIN person p ON p.id = t.person_id JOIN entitlement e ON e.id = t.entitlement_id "
    "LEFT JOIN permit m ON m.id = t.permit_id",
    (
        ("organisation", "org", "g.slug"),
        ("person", "person", "p.email"),
        ("purpose", "purpose", "t.purpose"),
        ("permit", "permit", "COALESCE(m.number, '')"),
        ("entitlement", "entitlement", "t.entitlement_id"),
        ("order", "order", "e.order_id"),
        ("content", "sha256", "e.sha256"),
    ),
    "t.issued_ns",
)


class Deeds:
    """The rows of one deed, as the log made them."""

    def __init__(self, deed: Deed) -> None:
        self.actions = frozenset({deed.action})
        self._deed = deed
        self._waiting: dict[str, tuple[str, Fields]] = {}
        self._taken = 0
        columns = ", ".join(sql for _, _, sql in deed.fields)
        query = f"SELECT t.id, {deed.at}, {columns} FROM {deed.table} t {deed.joined} WHERE t.id IN :ids"
        self._query = text(query).bindparams(bindparam("ids", expanding=True, type_=String()))

    def take(self, payload: Payload) -> None:
        """One was made."""
        self._waiting[payload[self._deed.member]] = payload["at"], {name: payload.get(named, "") for name, named, _ in self._deed.fields}
        self._taken += 1

    def settle(self, conn: Connection) -> Iterator[Offender]:
        """Those that were taken since, with their rows."""
        names = [name for name, _, _ in self._deed.fields]
        waiting = iter(self._waiting)
        while ids := list(islice(waiting, CHUNK)):
            stored = {row[0]: (row[1], dict(zip(names, row[2:], strict=True))) for row in conn.execute(self._query, {"ids": ids})}
            for key in ids:
                if key not in stored:
                    yield f"{self._deed.what} {key} is in the log and not there"
                else:
                    (at, made), (at_ns, row) = self._waiting[key], stored[key]
                    yield from differing(f"{self._deed.what} {key}", made, row)
                    yield from at_another_time(f"{self._deed.what} {key}", at, at_ns)
        self._waiting.clear()

    def compare(self, conn: Connection) -> Iterator[Offender]:
        """When there are as many rows as entries, none is left over: each entry has its own."""
        table = self._deed.table
        if conn.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one() == self._taken:
            return
        key = member(conn, self._deed.member)
        entries = f"FROM audit_event a WHERE a.action = '{self._deed.action}' AND {key} IS NOT NULL"
        logged = f"SELECT {key} AS id, COUNT(*) AS n {entries} GROUP BY {key}"
        for found in conn.execute(text(f"SELECT t.id FROM {table} t WHERE t.id NOT IN (SELECT {key} {entries})")).scalars():
            yield f"{self._deed.what} {found} is there and no entry of the log made it"
        for found, count in conn.execute(text(f"SELECT id, n FROM ({logged}) l WHERE n > 1")):
            yield f"{self._deed.what} {found} was logged {count} times"
