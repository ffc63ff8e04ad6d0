"""The auditor's command: the log of who did what."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from mapex.cli.options import as_json_option, box_of, read_region
from mapex.cli.output import show, table
from mapex.client.http import Client
from mapex.errors import Invalid
from mapex.rules.licences import HandlingClass
from mapex.texts import shown


@click.group()
def audit() -> None:
    """Who read what, when, for what purpose, under which permit."""


@audit.command(name="list")
@click.option("--action", help="Only this action, for example access.granted; access stands for all accesses, refused ones too.")
@click.option(
    "--class", "handling_class", type=click.Choice([str(one) for one in HandlingClass]), help="Only accesses to data of this class."
)
@click.option("--region", metavar="FILE", help="Only tiles in this area: a GeoJSON file (WGS 84); - reads standard input.")
@click.option("--bbox", metavar="W,S,E,N", help="A box in degrees, instead of --region.")
@click.option("--place", metavar="NAME", help="A place by its name, address or coordinates, instead of --region.")
@click.option("--org", help="Only this organisation.")
@click.option("--person", help="Only this person (e-mail).")
@click.option("--dataset", help="Only this dataset.")
@click.option("--tile", help="Only this tile (quadkey; a prefix selects all tiles below it).")
@click.option("--purpose", help="Only this purpose.")
@click.option("--permit", help="Only under this permit (number).")
@click.option("--from", "start", help="From this time on (ISO 8601).")
@click.option("--to", "end", help="Before this time (ISO 8601).")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="At most so many events.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@as_json_option
def list_events(limit: int, as_csv: bool, as_json: bool, **filters: str | None) -> None:
    """List events of the log, newest first.

    Who read original footage of a crossing in October: --class original --place "37.4021,127.1086" --from 2026-10-01T00:00+09:00
    --to 2026-11-01T00:00+09:00.
    """
    client = Client.from_environment()
    query = _query(client, **filters)
    if as_csv:
        text = client.text("/audit/events", query={**query, "limit": limit, "format": "csv"})
        click.echo(shown(text) if sys.stdout.isatty() else text, nl=False)
        return
    events = client.listed("/audit/events", "events", query=query, limit=limit)
    rows = [
        [e["at"], e["action"], e["person"], e["org"], e["dataset"], e["layer"], e["tile"], e.get("class", ""), e["purpose"], e["permit"]]
        for e in events
    ]
    text = (
        table(["when (UTC)", "did", "who", "of", "dataset", "layer", "tile", "class", "purpose", "permit"], rows) if rows else "No events."
    )
    show({"events": events}, as_json=as_json, text=text)


def _query(
    client: Client,
    *,
    handling_class: str | None,
    region: str | None,
    bbox: str | None,
    place: str | None,
    start: str | None,
    end: str | None,
    **plain: str | None,
) -> dict[str, Any]:
    """The filter as the API takes it. Raises: Invalid: more than one area, or none that can be read."""
    if sum(one is not None for one in (region, bbox, place)) > 1:
        raise Invalid("cli.one_region", "Name one area: --region FILE (GeoJSON), --bbox W,S,E,N or --place NAME.")
    ground = bbox and ",".join(map(str, box_of(bbox)))
    if region is not None:
        ground = json.dumps(read_region(region, None), separators=(",", ":"))
    elif place is not None:
        ground = _ground_of(client, place)
    return {**plain, "class": handling_class, "region": ground, "from": start, "to": end}


def _ground_of(client: Client, place: str) -> str:
    """The outline of a place by its key, its box, or its point. Raises: Invalid: none or several are called that."""
    found = client.call("GET", "/places", query={"q": place, "limit": 5})["found"]
    exact = [one for one in found if one["name"] == place] or found
    if len(exact) != 1:
        known = "; ".join(f"{one['name']} ({one['within'] or one['system']})" for one in exact) or "none"
        raise Invalid("cli.place", f"`--place {place}` is {len(exact)} places: {known}. Give a name or coordinates that mean one.")
    [one] = exact
    if one["key"]:
        return str(one["key"])
    return ",".join(map(str, one["box"] or (one["lon"], one["lat"])))
