"""What happened that concerns the person of the token: notices."""

from __future__ import annotations

from typing import Any

import click

from mapex.cli.options import as_json_option
from mapex.cli.output import show, table
from mapex.client.http import Client


@click.command()
@click.option("--unread", is_flag=True, help="Only those that are not read.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="At most so many notices.")
@click.option("--read", "marks", is_flag=True, help="Mark those that are listed as read.")
@as_json_option
def notices(limit: int, *, unread: bool, marks: bool, as_json: bool) -> None:
    """List notices, newest first."""
    client = Client.from_environment()
    found = client.listed("/notices", "notices", query={"unread": "true" if unread else None}, limit=limit)
    rows = [[one["at"], "" if one["read_at"] else "new", _sentence(one), _about(one["about"]), one["path"]] for one in found]
    text = table(["when (UTC)", "", "what", "about", "page"], rows) if rows else "No notices."
    new = [one["id"] for one in found if not one["read_at"]]
    if marks:
        for first in range(0, len(new), 1000):
            client.call("POST", "/notices/read", body={"notices": new[first : first + 1000]})
    show({"notices": found}, as_json=as_json, text=text)


def _sentence(one: dict[str, Any]) -> str:
    from mapex.notices import wording
    from mapex.notices.kind import NoticeKind

    known = one["kind"] in set(NoticeKind)  # a newer exchange may have more kinds
    return wording.sentence(NoticeKind(one["kind"]), one["about"], "en") if known else str(one["kind"])


def _about(about: dict[str, Any]) -> str:
    names = [about.get("dataset"), *about.get("areas", []), about.get("permit"), about.get("ends_at")]
    return ", ".join(str(name) for name in names if name)
