"""Notices of one's own: what happened, and how each kind comes."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from mapex.notices import notices, wishes
from mapex.notices.kind import NoticeKind, NoticeWay
from mapex.notices.notices import Notice
from mapex.people import mail
from mapex.times import iso_from_ns
from web.edge.auth import current_actor, exchange
from web.edge.kinds import address, moment, word
from web.edge.policy import policy
from web.edge.schemas import Answer, Body, Length, OneOf, PageQuery, fields

blueprint = APIBlueprint("notices", __name__, url_prefix="/api/v1", tag="Account")


class NoticesQuery(PageQuery):
    """Which notices."""

    unread = fields.Boolean(load_default=False, metadata={"description": "only those that are not read"})


class NoticeOut(Answer):
    """What happened."""

    id = fields.String()
    kind = word(NoticeKind)
    about = fields.Dict(metadata={"description": "ids and names of what it is about, by its kind"})
    path = address(metadata={"description": "the page that shows it"})
    at = moment()
    read_at = moment(allow_none=True)


class NoticesOut(Answer):
    """A page of notices, newest first."""

    notices = fields.List(fields.Nested(NoticeOut))
    unread = fields.Integer(metadata={"description": "of all that there are"})
    next = fields.String(allow_none=True)


class ReadIn(Body):
    """Which notices were read; none named = all."""

    notices = fields.List(fields.String(validate=Length(1, 40)), load_default=None, allow_none=True, validate=Length(1, 1000))


class UnreadOut(Answer):
    """How many are left."""

    unread = fields.Integer()


class WaysIn(Body):
    """How kinds are to come; kinds that are not named stay as they are."""

    ways = fields.Dict(
        keys=fields.String(validate=OneOf(list(NoticeKind))),
        values=fields.String(validate=OneOf(list(NoticeWay))),
        required=True,
        metadata={"description": f"by kind ({', '.join(NoticeKind)}): {', '.join(NoticeWay)}"},
    )


class WaysOut(Answer):
    """How each kind comes: by mail and in the pages, in the pages, or not at all."""

    ways = fields.Dict(keys=fields.String(), values=word(NoticeWay))
    sends_mail = fields.Boolean(metadata={"description": "whether this exchange sends mail at all"})


@blueprint.get("/notices")
@policy("read")
@blueprint.doc(responses=[404])
@blueprint.input(NoticesQuery, location="query", unknown=None)
@blueprint.output(NoticesOut)
def list_notices(query_data: dict[str, Any]) -> dict[str, Any]:
    """What happened that concerns you."""
    ex, by = exchange(), current_actor()
    page = notices.of(ex, by, **query_data)
    return {"notices": [_out(one) for one in page.notices], "unread": notices.unread(ex, by), "next": page.next}


@blueprint.post("/notices/read")
@policy("account")
@blueprint.doc(responses=[404])
@blueprint.input(ReadIn)
@blueprint.output(UnreadOut)
def read_notices(json_data: dict[str, Any]) -> dict[str, Any]:
    """Mark notices as read."""
    ex, by = exchange(), current_actor()
    if json_data["notices"] is None:
        notices.read_all(ex, by)
    else:
        notices.read(ex, by, json_data["notices"])
    return {"unread": notices.unread(ex, by)}


@blueprint.get("/notices/ways")
@policy("read")
@blueprint.output(WaysOut)
def get_ways() -> dict[str, Any]:
    """How each kind of notice comes to you."""
    ex = exchange()
    return {"ways": wishes.of(ex, current_actor()), "sends_mail": mail.is_set_up(ex.settings)}


@blueprint.put("/notices/ways")
@policy("account")
@blueprint.input(WaysIn)
@blueprint.output(WaysOut)
def choose_ways(json_data: dict[str, Any]) -> dict[str, Any]:
    """Choose how kinds of notices come to you."""
    ex = exchange()
    return {"ways": wishes.choose(ex, current_actor(), json_data["ways"]), "sends_mail": mail.is_set_up(ex.settings)}


def _out(one: Notice) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "about": one.about,
        "path": one.path,
        "at": iso_from_ns(one.at_ns),
        "read_at": iso_from_ns(one.read_ns) if one.read_ns is not None else None,
    }
