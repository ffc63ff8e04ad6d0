"""The audit log: filter, page, CSV. Reading it is an event itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from mapex.atlas import grounds
from mapex.audit import flags, log, proof
from mapex.audit.log import Event, EventFilter
from mapex.rules.licences import HandlingClass
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import content, moment, word
from web.edge.policy import policy
from web.edge.schemas import WHOLE, Answer, Length, OneOf, Query, Range, fields, when
from web.edge.tables import csv_answer

blueprint = APIBlueprint("audit", __name__, url_prefix="/api/v1", tag="Audit")

MOST_CSV_ROWS = 100_000
COLUMNS = ("seq", "at", "action", "person", "org", "owner", "dataset", "layer", "tile", "purpose", "permit", "class")


class EventsQuery(Query):
    """Which events; all that are given must fit. `tile` is a quadkey, a shorter one stands for all tiles below it."""

    action = fields.String(
        load_default="", validate=Length(0, 64), metadata={"description": "an action, or the noun of several: `access` is all accesses"}
    )
    org = fields.String(load_default="", validate=Length(0, 64))
    owner = fields.String(load_default="", validate=Length(0, 64))
    person = fields.String(load_default="", validate=Length(0, 255))
    dataset = fields.String(load_default="", validate=Length(0, 64))
    layer = fields.String(load_default="", validate=Length(0, 64))
    tile = fields.String(load_default="", validate=Length(0, 32))
    purpose = fields.String(load_default="", validate=Length(0, 32))
    permit = fields.String(load_default="", validate=Length(0, 128))
    handling_class = fields.String(
        data_key="class", load_default="", validate=OneOf(["", *HandlingClass]), metadata={"description": "class of what was read"}
    )
    region = fields.String(
        load_default="",
        validate=Length(0, grounds.LONGEST),
        metadata={
            "description": "only on this ground: `lon,lat` and 150 m around it, `west,south,east,north`, `lon,lat;lon,lat;lon,lat`, "
            "GeoJSON, or the `key` of a place"
        },
    )
    flag = fields.String(load_default="", validate=OneOf(["", *flags.FLAGS, flags.ANY]))
    from_time = fields.String(data_key="from", load_default="")
    to_time = fields.String(data_key="to", load_default="")
    after = fields.Integer(load_default=None, allow_none=True, validate=WHOLE)
    limit = fields.Integer(load_default=100, validate=Range(1, MOST_CSV_ROWS))
    format = fields.String(load_default="json", validate=OneOf(["json", "csv"]))


class EventOut(Answer):
    """Who (`person` of `org`) did what to which data (of `owner`), for what purpose, under which permit; `details` is the rest."""

    seq = fields.Integer()
    at = moment()
    action = fields.String()
    person = fields.String()
    org = fields.String()
    owner = fields.String()
    dataset = fields.String()
    layer = fields.String()
    tile = fields.String()
    purpose = fields.String()
    permit = fields.String()
    class_ = word(
        ("", *HandlingClass),
        data_key="class",
        attribute="class",
        metadata={"description": "class of what was read; empty where the entry names none"},
    )
    details = fields.Dict()


class EventsOut(Answer):
    """Newest first; `next` is the `after` of the next page."""

    events = fields.List(fields.Nested(EventOut))
    next = fields.Integer(allow_none=True)


class EntriesQuery(Query):
    """A walk along the log: `after` = `next` of the answer before, `head` = the `head` of the first answer."""

    after = fields.Integer(load_default=0, validate=WHOLE)
    head = fields.Integer(load_default=None, allow_none=True, validate=WHOLE)
    limit = fields.Integer(load_default=proof.MAX_PAGE, validate=Range(1, proof.MAX_PAGE))


class EntriesOut(Answer):
    """Each entry is [seq, payload (canonical JSON text), salt (hex), commitment (hex)]; commitment = digest(salt || payload)."""

    entries = fields.List(fields.List(fields.Raw()))
    next = fields.Integer(allow_none=True)
    head = fields.Integer()


@blueprint.get("/audit/events")
@policy("audit")
@blueprint.input(EventsQuery, location="query", unknown=None)
@blueprint.output(EventsOut)
@blueprint.doc(responses={200: content("events, or a table of them", "text/csv", schema={"type": "string"}), 404: "No such place."})
def events(query_data: dict[str, Any]) -> dict[str, Any] | Response:
    """Events that you may see, newest first, up to 100,000 at once; `format=csv` gives a table."""
    words = ("action", "org", "owner", "person", "dataset", "layer", "tile", "purpose", "permit", "handling_class", "flag")
    wanted = EventFilter(
        **{name: query_data[name] for name in words},
        ground=grounds.read(exchange(), query_data["region"]) if query_data["region"] else None,
        from_ns=when(query_data["from_time"]),
        to_ns=when(query_data["to_time"]),
    )
    if query_data["format"] == "csv":
        return _table(islice(_pages(wanted, query_data["after"], query_data["limit"]), query_data["limit"]))
    if query_data["limit"] > log.MAX_PAGE:
        found = list(islice(_pages(wanted, query_data["after"], query_data["limit"]), query_data["limit"]))
        return {"events": [shown(event) for event in found], "next": found[-1].seq if len(found) == query_data["limit"] else None}
    page = log.events(exchange(), current_actor(), wanted, after=query_data["after"], limit=query_data["limit"])
    return {"events": [shown(event) for event in page.events], "next": page.next}


@blueprint.get("/audit/entries")
@policy("inspect")
@blueprint.input(EntriesQuery, location="query", unknown=None)
@blueprint.output(EntriesOut)
def entries(query_data: dict[str, Any]) -> dict[str, Any]:
    """Entries as they were committed to, oldest first, for recomputing every commitment and the Merkle root outside."""
    found = proof.stretch(exchange(), current_actor(), **query_data)
    lines = [[entry.seq, entry.payload, entry.salt, entry.commitment] for entry in found.entries]
    return {"entries": lines, "next": found.next, "head": found.head}


def shown(event: Event) -> dict[str, Any]:
    """The event as JSON."""
    plain = {name: getattr(event, log.FIELDS.get(name, name)) for name in COLUMNS if name != "at"}
    rest = {name: value for name, value in event.payload.items() if name not in (*COLUMNS, "v")}
    return {**plain, "at": iso_from_ns(event.at_ns), "details": rest}


def _pages(wanted: EventFilter, after: int | None, limit: int) -> Iterator[Event]:
    while True:
        page = log.events(exchange(), current_actor(), wanted, after=after, limit=min(limit, log.MAX_PAGE))
        yield from page.events
        after = page.next
        if after is None:
            return


def _table(found: Iterator[Event]) -> Response:
    lines = (shown(event) for event in found)
    return csv_answer("mapex-audit.csv", COLUMNS, ([line[name] for name in COLUMNS] for line in lines))
