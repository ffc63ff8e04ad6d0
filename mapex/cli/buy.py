"""The buyer's commands: search, quote, buy, get."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote as quoted

import click

from mapex.cli.output import counted, show, size, table
from mapex.client.bar import bar
from mapex.client.http import Client
from mapex.errors import Invalid
from tiles.box import Box

METRES_A_DEGREE = 111_320

region_options = (
    click.option("--region", "region", metavar="FILE", help="GeoJSON file of the area (WGS 84); - reads standard input."),
    click.option("--bbox", metavar="W,S,E,N", help="A box in degrees, instead of --region."),
    click.option(
        "--simplify", type=click.FloatRange(min=0), metavar="METRES", help="Simplify the outline first; it moves by at most so far."
    ),
    click.option("--layers", metavar="A,B", help="Only these layers, by name or kind."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def _with_region(command: Any) -> Any:
    for option in reversed(region_options):
        command = option(command)
    return command


def read_region(region: str | None, bbox: str | None) -> dict[str, Any]:
    """The area as GeoJSON. Raises Invalid when neither or both are given, or when the file is no JSON."""
    if (region is None) == (bbox is None):
        raise Invalid("cli.region", "Say where: either --region FILE (GeoJSON) or --bbox W,S,E,N.")
    if bbox is not None:
        w, s, e, n = box_of(bbox)
        return {"type": "Polygon", "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]}
    assert region is not None
    text = sys.stdin.read() if region == "-" else Path(region).read_text(encoding="utf-8-sig")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Invalid("cli.region_json", f"{region} is not JSON ({error}). Give a GeoJSON file in WGS 84 longitude, latitude.") from error
    if not isinstance(value, dict):
        raise Invalid("cli.region_json", f"{region} is JSON but no GeoJSON object.")
    return value


def box_of(bbox: str) -> Box:
    """The box W,S,E,N. Raises Invalid when it is not four numbers."""
    try:
        return Box.from_text(bbox)
    except ValueError as error:
        raise Invalid("cli.bbox", f"--bbox {bbox!r} is not four numbers W,S,E,N in degrees.") from error


def simplified(area: dict[str, Any], metres: float) -> dict[str, Any]:
    """The area with as few vertices as stay within `metres` of its outline."""
    import shapely

    whole = shapely.from_geojson(json.dumps(area))
    plain: dict[str, Any] = json.loads(shapely.to_geojson(shapely.simplify(whole, metres / METRES_A_DEGREE)))
    return plain


def _request(region: str | None, bbox: str | None, simplify: float | None, layers: str | None) -> dict[str, Any]:
    area = read_region(region, bbox)
    body: dict[str, Any] = {"region": simplified(area, simplify) if simplify else area}
    if layers:
        body["layers"] = [name.strip() for name in layers.split(",") if name.strip()]
    return body


@click.command()
@_with_region
def search(region: str | None, bbox: str | None, simplify: float | None, layers: str | None, as_json: bool) -> None:
    """What is offered in a region: datasets, layers, tiles, rates."""
    found = Client.from_environment().call("POST", "/search", _request(region, bbox, simplify, layers))
    rows = [
        [d["dataset"], d.get("org", ""), y["name"], y["kind"], y["class"], str(y["tiles"])] for d in found["datasets"] for y in d["layers"]
    ]
    text = table(["dataset", "firm", "layer", "kind", "class", "tiles"], rows, right={5}) if rows else "Nothing is offered in this area."
    show(found, as_json=as_json, text=text)


def _won(amount: int) -> str:
    return f"{amount:,}"


def quote_text(quote: dict[str, Any]) -> str:
    """A quote as a table for people."""
    rows = [
        [y["dataset"], y["layer"], f"{y['quantity']:,}", y["unit"], _won(y["rate"]), str(y["tiles"]), _won(y["amount"])]
        for y in quote["lines"]
    ]
    lines = [table(["dataset", "layer", "quantity", "unit", "rate", "tiles", "KRW"], rows, right={2, 4, 5, 6})] if rows else []
    lines += [f"Not included: {r['message']}" for r in quote.get("refusals", [])]
    lines.append(
        f"VAT {_won(quote['vat'])}   Total {_won(quote['total'])} KRW for {counted(quote['tiles'], 'tile')}, {size(quote['bytes'])}"
    )
    if quote.get("id"):
        lines.append(f"Quote {quote['id']}, held until {quote['expires_at']}. Buy with: mapex buy {quote['id']}")
    return "\n".join(lines)


@click.command()
@_with_region
@click.option("--purpose", help="What the data is for, for example research; not with --updates.")
@click.option("--dataset", help="Only this dataset (SLUG or FIRM/SLUG).")
@click.option("--updates", metavar="ORDER_ID", help="Instead of a region: exactly the tiles of this order that have a newer version.")
@click.option("--added", is_flag=True, help="With --updates: also tiles that are new in the area of the order.")
def quote(
    region: str | None,
    bbox: str | None,
    simplify: float | None,
    layers: str | None,
    as_json: bool,
    purpose: str | None,
    dataset: str | None,
    updates: str | None,
    added: bool,
) -> None:
    """The exact price of a region, held for 15 minutes."""
    body: dict[str, Any]
    if updates is not None:
        if region or bbox or layers or purpose or dataset:
            raise Invalid("cli.updates", "--updates takes area, layers and purpose from the order; leave those options out.")
        path, body = f"/orders/{quoted(updates, safe='')}/updates/quote", {"added": added}
    else:
        if purpose is None or added:
            raise Invalid("cli.purpose", "Say what the data is for: --purpose research. (--added goes with --updates only.)")
        path, body = "/quotes", {**_request(region, bbox, simplify, layers), "purpose": purpose}
        if dataset:
            body["dataset"] = dataset
    answer = Client.from_environment().call("POST", path, body)
    show(answer, as_json=as_json, text=quote_text(answer))


@click.command()
@click.argument("quote_id")
@click.option("--key", help="Idempotency key: the same key never buys twice. Default: the quote's own id.")
@click.option("--for", "persons", multiple=True, metavar="EMAIL", help="Who of your firm may download it; repeat. Default: everybody.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def buy(quote_id: str, key: str | None, persons: tuple[str, ...], as_json: bool) -> None:
    """Order what a quote offers; the total is the quote's, or the order is refused."""
    body = {"quote": quote_id, **({"persons": list(persons)} if persons else {})}
    order = Client.from_environment().call("POST", "/orders", body, headers={"Idempotency-Key": key or quote_id})
    text = f"Order {order['id']}: {order['state']}, {_won(order['total'])} KRW. Download with: mapex get {order['id']} --to DIR"
    show(order, as_json=as_json, text=text)


@click.command()
@click.argument("order_id")
@click.option(
    "--to", "folder", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the tiles and manifest.json."
)
@click.option("--streams", default=4, show_default=True, type=click.IntRange(1, 16), help="Downloads at the same time.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def get(order_id: str, folder: Path, streams: int, as_json: bool) -> None:
    """Download an order. Every file is checked against its sha256; what is already there is not fetched again."""
    from mapex.client.download import Download

    with bar("Downloading", in_bytes=True) as progress:
        outcome = Download(Client.from_environment(), order_id, folder).run(streams=streams, progress=progress)
    counts = (
        f"{counted(outcome['files'], 'file')}, {size(outcome['bytes'])}, {outcome['verified']} verified, {outcome['fetched']} fetched now"
    )
    text = f"{counts}. See {folder / 'manifest.json'}"
    show(outcome, as_json=as_json, text=text)
