"""The buyer's commands: search, quote, buy, get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mapex.cli.options import Chosen, Output, Where, as_json_option, with_choice, with_filters, with_output, with_region, words
from mapex.cli.orders import ask_for_approval, newer, update_lines
from mapex.cli.output import counted, ground, show, size, table
from mapex.client.bar import bar
from mapex.client.http import Client, segment
from mapex.errors import Invalid
from mapex.rules.file_names import portable
from mapex.texts import one_line


@click.command()
@click.argument("text", nargs=-1)
@with_region
@with_filters
@as_json_option
def search(text: tuple[str, ...], where: Where, wanted: dict[str, Any], as_json: bool) -> None:
    """What is on sale: by words and filters in the catalogue, or in a region with its layers and tiles.

    In a region it needs no MAPEX_TOKEN where the exchange shows prices to everybody.
    """
    if not where.is_given:
        _search_catalogue({"q": " ".join(text), **wanted}, as_json)
        return
    if text or wanted:
        raise Invalid("cli.search", "Words and filters search the catalogue. Name either them or a region.")
    found = Client.from_environment(visitor=True).call("POST", "/search", where.as_json(), repeatable=True)
    rows = [
        [d["dataset"], d.get("org", ""), y["name"], y["kind"], y["class"], str(y["tiles"])] for d in found["datasets"] for y in d["layers"]
    ]
    head = ["dataset", "firm", "layer", "kind", "class", "tiles"]
    show(found, as_json=as_json, text=table(head, rows, right={5}) if rows else "Nothing is offered in this area.")


def _search_catalogue(wanted: dict[str, Any], as_json: bool) -> None:
    found = Client.from_environment().call("GET", "/catalogue", query=wanted)
    rows = [
        [
            f"{d['org']}/{d['slug']}",
            one_line(d["title"]),
            ", ".join(sorted({y["kind"] for y in d["layers"]})),
            d["licence"],
            d.get("updates", "paid"),
        ]
        for d in found["datasets"]
    ]
    text = table(["dataset", "title", "kinds", "licence", "updates"], rows) if rows else "Nothing on sale fits this."
    if found["pages"] > 1:
        text += f"\n{found['total']} in all, page {wanted.get('page', 1)} of {found['pages']}."
    show(found, as_json=as_json, text=text)


@click.command()
@click.argument("dataset", metavar="FIRM/DATASET")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder of the files. Default: this one.")
@as_json_option
def sample(dataset: str, out: Path, as_json: bool) -> None:
    """Download the free sample tiles of a dataset: one of each layer that needs no permit."""
    org, _, slug = dataset.partition("/")
    client = Client.from_environment()
    found = client.call("GET", f"/datasets/{segment(org)}/{segment(slug)}/samples")
    files = [file for one in found["samples"] for file in one["files"]]
    out.mkdir(parents=True, exist_ok=True)
    for file in files:
        client.save(file["url"].removeprefix("/api/v1"), out / portable(file["name"]), sha256=file["sha256"])
    lines = [f"{out / portable(file['name'])}  {size(file['size'])}" for file in files]
    show(found, as_json=as_json, text="\n".join(lines) if lines else "The seller gives no sample of this.")


def _won(amount: int) -> str:
    return f"{amount:,}"


def total_text(price: dict[str, Any]) -> list[str]:
    """What is bought for how much, beside what was drawn; a quote and an estimate in the same words."""
    files = f"{counted(price.get('files', price['tiles']), 'file')}, {size(price['bytes'])}"
    lines = [f"VAT {_won(price['vat'])}   Total {_won(price['total'])} KRW for {files}"]
    if price.get("squares"):  # not of an exchange before 0.3
        bought = f"{counted(price['squares'], 'square')} = {ground(price['squares_m2'])}"
        each = (_won(round(1e6 * price["total"] / max(m2, 0.01))) for m2 in (price["drawn_m2"], price["squares_m2"]))
        lines.append(f"You drew {ground(price['drawn_m2'])}, you buy {bought}.")
        lines.append("{} KRW for 1 km2 of what you drew, {} KRW for 1 km2 of what you buy, VAT included.".format(*each))
    return lines


def quote_text(quote: dict[str, Any]) -> str:
    """A quote as a table for people."""
    rows = []
    for y in quote["lines"]:
        rows.append([y["dataset"], y["layer"], f"{y['quantity']:,}", y["unit"], _won(y["rate"]), str(y["tiles"]), _won(y["price"])])
        if y["credit"]:
            rows.append([y["dataset"], y["layer"], "", "paid earlier", "", "", _won(-y["credit"])])
    lines = [table(["dataset", "layer", "quantity", "unit", "rate", "tiles", "KRW"], rows, right={2, 4, 5, 6})] if rows else []
    lines += update_lines(quote["lines"])
    lines += [f"Not included: {r['message']}" for r in quote.get("refusals", [])]
    lines += total_text(quote)
    if quote.get("id"):
        lines.append(f"Quote {quote['id']}, held until {quote['expires_at']}. Buy with: mapex buy {quote['id']}")
    return "\n".join(lines)


@click.command()
@with_region
@with_choice
@click.option("--purpose", help="What the data is for, for example research. Without: whatever allows the most.")
@as_json_option
def estimate(where: Where, chosen: Chosen, purpose: str | None, as_json: bool) -> None:
    """What a region costs now, and every offer there is to choose from. Nothing is held. Needs no MAPEX_TOKEN, as `search`."""
    body = {**where.as_json(), **chosen.as_json(), **({"purpose": purpose} if purpose else {})}
    found = Client.from_environment(visitor=True).call("POST", "/estimates", body, repeatable=True)
    show(found, as_json=as_json, text=estimate_text(found))


def estimate_text(found: dict[str, Any]) -> str:
    """An estimate as a table for people: a row for each offer, alternatives under the same number."""
    rows = [
        [
            "x" if row["chosen"] else "",
            str(row["group"]),
            row["offer"],
            row["class"],
            row["licence"],
            row.get("updates", "paid"),
            "-" if row["quality"] is None else str(row["quality"]),
            (row["as_of"] or "-")[:10],
            str(row["tiles"]),
            size(row["bytes"]),
            _won(row["amount"]) + (" !" if any(line["unusual"] for line in row["lines"]) else ""),
        ]
        for row in found["offers"]
    ]
    head = ["", "group", "offer", "class", "licence", "updates", "quality", "as of", "tiles", "size", "KRW"]
    lines = [table(head, rows, right={1, 6, 8, 9, 10})] if rows else ["Nothing is offered in this area."]
    if len({row["group"] for row in found["offers"]}) < len(rows):
        lines.append("Offers of one group sell the same kind on the same ground; the one marked x is taken. Name others with --offer.")
    if any(line["unusual"] for row in found["offers"] for line in row["lines"]):
        lines.append("! A rate of it is 1,000 times the usual one or more.")
    lines += [f"Not included: {r['message']}" for r in found["refusals"]]
    return "\n".join([*lines, *total_text(found)])


@click.command()
@with_region
@as_json_option
@click.option("--purpose", help="What the data is for, for example research; not with --updates.")
@with_choice
@click.option("--updates", metavar="ORDER_ID", help="Instead of a region: exactly the tiles of this order that have a newer version.")
@click.option("--added", is_flag=True, help="With --updates: also tiles that are new in the area of the order.")
def quote(where: Where, chosen: Chosen, purpose: str | None, updates: str | None, added: bool, as_json: bool) -> None:
    """The exact price of a region, held for 15 minutes. Where several sell the same, one is taken; original footage has to be named."""
    if updates is None:
        if purpose is None or added:
            raise Invalid("cli.purpose", "Give the purpose of the data, for example --purpose research; --added goes with --updates only.")
        path, body = "/quotes", {**where.as_json(), **chosen.as_json(), "purpose": purpose}
    elif where.is_given or purpose or chosen.is_given:
        raise Invalid("cli.updates", "`--updates` takes area, layers and purpose from the order; leave those options out.")
    else:
        path, body = f"/orders/{segment(updates)}/updates/quote", {"added": added}
    answer = Client.from_environment().call("POST", path, body)
    show(answer, as_json=as_json, text=quote_text(answer))


@click.command()
@click.argument("quote_id")
@click.option("--key", help="Idempotency key: the same key never buys twice. Default: the quote's own id.")
@click.option("--for", "persons", multiple=True, metavar="EMAIL", help="Who of your firm may download it; repeat. Default: everybody.")
@click.option("--ask", is_flag=True, help="Do not pay: ask those of your firm who may, with --note.")
@click.option("--note", default="", help="What it is for, to whoever approves it.")
@as_json_option
def buy(quote_id: str, key: str | None, persons: tuple[str, ...], ask: bool, note: str, as_json: bool) -> None:
    """Order what a quote offers; the total is the quote's, or the order is refused."""
    if ask:
        asked = ask_for_approval(quote_id, note, persons)
        text = f"Asked for approval of {_won(asked['total'])} KRW as {asked['id']}. See what comes of it with: mapex approvals"
        show(asked, as_json=as_json, text=text)
        return
    body = {"quote": quote_id, **({"persons": list(persons)} if persons else {})}
    order = Client.from_environment().call("POST", "/orders", body, headers={"Idempotency-Key": key or quote_id})
    text = f"Order {order['id']}: {order['state']}, {_won(order['total'])} KRW. Download with: mapex get {order['id']} --to DIR"
    show(order, as_json=as_json, text=text)


@click.command()
@click.argument("order_id")
@click.option(
    "--to", "folder", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the tiles and _manifest.json."
)
@click.option("--layers", default="", metavar="A,B", help="Only files of these layers, by name or kind.")
@click.option("--dataset", default="", help="Only files of this dataset (SLUG or FIRM/SLUG).")
@click.option("--tiles", default="", metavar="Q,Q", help="Only these tiles (quadkeys; a prefix selects all tiles below it).")
@click.option("--streams", default=4, show_default=True, type=click.IntRange(1, 16), help="Downloads at the same time.")
@click.option("--update", is_flag=True, help="Also look which of its tiles have a newer version on sale.")
@with_output
@as_json_option
def get(
    order_id: str, folder: Path, layers: str, dataset: str, tiles: str, streams: int, update: bool, wanted: Output, as_json: bool
) -> None:
    """Download an order, or a part of it. Every file is checked against its sha256; what is already there is not fetched again.

    With --format (repeat for several) the tiles are also written in that format, a file for each dataset: joined, each feature once.
    """
    from mapex.cli.convert import deliver
    from mapex.client.download import Download
    from mapex.client.selection import Selection

    only, formats = Selection(words(layers), dataset, words(tiles)), wanted.formats()
    wanted.target()  # what cannot be had is refused before anything is fetched
    with bar("Downloading", in_bytes=True) as progress:
        outcome = Download(Client.from_environment(), order_id, folder, only).run(streams=streams, progress=progress)
    counts = (
        f"{counted(outcome['files'], 'file')}, {size(outcome['bytes'])}, {outcome['verified']} verified, {outcome['fetched']} fetched now"
    )
    text = f"{counts}. See {folder / '_manifest.json'}"
    if left := outcome["left_out"]["files"]:
        text += f"\nLeft out: {counted(left, 'file')} of the order, {size(outcome['left_out']['bytes'])}. Name less to fetch them too."
    if formats:
        outcome["written"], lines = deliver(folder, wanted)
        text = "\n".join([text, *lines])
    if update:
        outcome["updates"] = Client.from_environment().call("GET", f"/orders/{segment(order_id)}/updates")
        text += "\n" + newer(outcome["updates"])
    show(outcome, as_json=as_json, text=text)
