"""The auditor's command: the log of who did what."""

from __future__ import annotations

import sys
from typing import Any

import click

from mapex.cli.options import as_json_option
from mapex.cli.output import show, table
from mapex.client.http import Client
from mapex.texts import shown


@click.group()
def audit() -> None:
    """Who read what, when, for what purpose, under which permit."""


@audit.command(name="list")
@click.option("--action", help="Only this action, for example access.granted.")
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
def list_events(limit: int, as_csv: bool, as_json: bool, start: str | None, end: str | None, **filters: str | None) -> None:
    """List events of the log, newest first."""
    client = Client.from_environment()
    query: dict[str, Any] = {**filters, "from": start, "to": end}
    if as_csv:
        text = client.text("/audit/events", query={**query, "limit": limit, "format": "csv"})
        click.echo(shown(text) if sys.stdout.isatty() else text, nl=False)
        return
    events = client.listed("/audit/events", "events", query=query, limit=limit)
    rows = [[e["at"], e["action"], e["person"], e["org"], e["dataset"], e["layer"], e["tile"], e["purpose"], e["permit"]] for e in events]
    text = table(["when (UTC)", "did", "who", "of", "dataset", "layer", "tile", "purpose", "permit"], rows) if rows else "No events."
    show({"events": events}, as_json=as_json, text=text)
