"""What was bought and what it cost: order, wallet; who asks to have it paid, and the invoices."""

from __future__ import annotations

from typing import Any

import click

from mapex.cli.options import as_json_option
from mapex.cli.output import counted, show, size, table
from mapex.client.http import Client, segment
from mapex.errors import Invalid
from mapex.texts import one_line


@click.group()
def order() -> None:
    """Orders of your organisation."""


@order.command(name="list")
@click.option("--purpose", help="Only this purpose.")
@click.option("--dataset", help="Only orders with tiles of this dataset.")
@click.option("--from", "start", help="From this time on (ISO 8601).")
@click.option("--to", "end", help="Before this time (ISO 8601).")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="At most so many orders.")
@as_json_option
def order_list(limit: int, as_json: bool, start: str | None, end: str | None, **filters: str | None) -> None:
    """List orders, newest first."""
    query = {**filters, "from": start, "to": end}
    found = Client.from_environment().listed("/orders", "orders", query=query, limit=limit)
    rows = [
        [o["id"], o["created_at"], o["name"] or o.get("place", ""), o["person"], o["purpose"], o["state"], f"{o['total']:,}"] for o in found
    ]
    text = table(["order", "when (UTC)", "area", "who", "purpose", "state", "KRW"], rows, right={6}) if rows else "No orders."
    show({"orders": found}, as_json=as_json, text=text)


@order.command(name="show")
@click.argument("order_id")
@as_json_option
def order_show(order_id: str, as_json: bool) -> None:
    """What an order holds, line by line, and what was paid."""
    found = Client.from_environment().call("GET", f"/orders/{segment(order_id)}")
    rows = []
    for y in found["lines"]:
        what = [y["dataset"], str(y["version"]), y["layer"], y["licence"]]
        rows.append([*what, f"{y['quantity']:,}", y["unit"], str(y["tiles"]), f"{y['price']:,}"])
        if y["credit"]:
            rows.append([*what, "", "paid earlier", "", f"{-y['credit']:,}"])
    lines = [
        f"Order {found['id']}: {found['state']} on {found['created_at']} by {found['person']}, for {found['purpose']}",
        *([found["place"]] if found.get("place") else []),
        table(["dataset", "version", "layer", "licence", "quantity", "unit", "tiles", "KRW"], rows, right={1, 4, 6, 7}),
        *update_lines(found["lines"]),
        f"VAT {found['vat']:,}   Total {found['total']:,} KRW",
    ]
    show(found, as_json=as_json, text="\n".join(lines))


def update_lines(lines: list[dict[str, Any]]) -> list[str]:
    """Of the lines of a quote or an order: where newer versions will not be paid anew, and how many tiles cost nothing now for that."""
    found = []
    for y in {(y["dataset"], y["layer"]): y for y in lines}.values():
        name = f"{y['dataset']} {y['layer']}"
        policy = y.get("updates", "paid")
        if policy == "difference":
            found.append(f"Updates of {name}: paid for what changed only")
        elif months := policy.partition("free:")[2]:
            found.append(f"Updates of {name}: free for {counted(int(months), 'month')} after the order")
        if free := y.get("free_tiles"):
            found.append(f"Free updates in {name}: {counted(free, 'tile')}")
    return found


@order.command(name="progress")
@click.argument("order_id")
@as_json_option
def order_progress(order_id: str, as_json: bool) -> None:
    """How far an order is: its files, those that may not be read now, and those that were given out and read."""
    found = Client.from_environment().call("GET", f"/orders/{segment(order_id)}/progress")
    lines = [f"Order {order_id}: {found['state']}, {counted(found['files'], 'file')}, {size(found['size'])}"]
    if found["withheld"]:
        lines.append(f"{counted(found['withheld'], 'file')} may not be read now")
    last = f", the last on {found['last_granted_at']}" if found["last_granted_at"] else ""
    lines.append(f"Download addresses given out: {found['granted']:,} of {counted(found['files'], 'file')}{last}")
    if found["read"] is not None:
        lines.append(f"Read to the end: {found['read']:,} of {counted(found['files'], 'file')}")
    show(found, as_json=as_json, text="\n".join(lines))


@order.command(name="updates")
@click.argument("order_id")
@as_json_option
def order_updates(order_id: str, as_json: bool) -> None:
    """Which tiles of an order have a newer version on sale, and what became of the features in them."""
    found = Client.from_environment().call("GET", f"/orders/{segment(order_id)}/updates")
    show(found, as_json=as_json, text=newer(found))


def newer(found: dict[str, Any]) -> str:
    """What is newer than an order, as a text; `found` is the answer of the API."""
    lines = []
    if found["layers"]:
        rows = [[y["dataset"], y["layer"], f"{y['bought_version']} -> {y['version']}", *_changed(y)] for y in found["layers"]]
        heads = ["dataset", "layer", "version", "tiles", "added", "removed", "moved", "altered"]
        lines.append(table(heads, rows, right=set(range(3, 8))))
    if found["changed"]:
        total = f", {found['total']:,} KRW" if found["total"] is not None else ""
        total += f" ({found['credit']:,} paid earlier taken off)" if found.get("credit") else ""
        lines.append(f"{counted(found['changed'], 'tile')} newer{total}: mapex quote --updates {found['order']}")
    elif not found["layers"]:
        lines.append("Nothing newer is on sale.")
    if found["within"]:
        verb = "differs" if found["within"] == 1 else "differ"
        lines.append(f"{counted(found['within'], 'tile')} {verb} below the stated accuracy, not offered.")
    return "\n".join(lines)


def _changed(layer: dict[str, Any]) -> list[str]:
    features = layer["features"] or {}
    counts = [f"{features[name]:,}" if name in features else "" for name in ("added", "removed", "moved", "altered")]
    return [f"{len(layer['changed']):,}", *counts]


@click.group()
def wallet() -> None:
    """Prepaid money of your organisation."""


_org_option = click.option("--org", help="Whose wallet (auditors and operators name one). Default: your own.")


@wallet.command(name="balance")
@_org_option
@as_json_option
def wallet_balance(org: str | None, as_json: bool) -> None:
    """What is in the wallet."""
    found = _wallet(org, 1)
    record = {name: found[name] for name in ("org", "currency", "balance")}
    show(record, as_json=as_json, text=f"{found['org']}: {found['balance']:,} {found['currency']}")


@wallet.command(name="statement")
@_org_option
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000), help="At most so many entries.")
@as_json_option
def wallet_statement(org: str | None, limit: int, as_json: bool) -> None:
    """What came and went, newest first, with the balance after each."""
    found = _wallet(org, limit)
    rows = [[e["at"], e["kind"], e["memo"], e["order"] or "", f"{e['amount']:,}", f"{e['balance']:,}"] for e in found["entries"]]
    headers = ["when (UTC)", "what", "memo", "order", found["currency"], "balance"]
    show(found, as_json=as_json, text=table(headers, rows, right={4, 5}) if rows else "No entries.")


def _wallet(org: str | None, limit: int) -> Any:
    return Client.from_environment().call("GET", "/wallet", query={"org": org, "limit": limit})


@click.command()
@click.option("--state", type=click.Choice(["open", "paid", "refused", "withdrawn"]), help="Only these. Default: all.")
@click.option("--refuse", metavar="ID", help="Refuse this request, with --reason.")
@click.option("--withdraw", metavar="ID", help="Withdraw this request of your own.")
@click.option("--reason", default="", help="Why it is refused; who asked can read it.")
@as_json_option
def approvals(state: str | None, refuse: str | None, withdraw: str | None, reason: str, as_json: bool) -> None:
    """Requests for approval of your organisation. To approve one, pay its quote: `mapex buy QUOTE_ID`; ask with `mapex buy --ask`."""
    client = Client.from_environment()
    if refuse and withdraw:
        raise Invalid("cli.approvals", "Give --refuse or --withdraw, not both.")
    if closed := refuse or withdraw:
        found = client.call("POST", f"/approvals/{segment(closed)}/close", {"reason": reason})
        show(found, as_json=as_json, text=f"Request {found['id']} is {found['state']}.")
        return
    answer = client.call("GET", "/approvals", query={"state": state})
    rows = [
        [one["id"], one["quote"], one["asker"], one_line(one["note"])[:60], one["state"], f"{one['total']:,}", one["expires_at"]]
        for one in answer["approvals"]
    ]
    headers = ["request", "quote", "who", "why", "state", "KRW", "price held until"]
    show(answer, as_json=as_json, text=table(headers, rows, right={5}) if rows else "No requests.")


FORMS = {"xml": "tax.xml", "csv": "hometax.csv"}


@click.command()
@click.argument("document")
@click.option("--format", "form", type=click.Choice(sorted(FORMS)), help="xml: in the names of the tax office; csv: a row of its form.")
@as_json_option
def invoice(document: str, form: str | None, as_json: bool) -> None:
    """The data of the tax invoice of an ORDER, refund or SETTLEMENT by its id. The operator issues it, with its certificate."""
    client, path = Client.from_environment(), f"/invoices/{segment(document)}"
    if form:
        click.echo(client.text(f"{path}/{FORMS[form]}"), nl=False)
        return
    found = client.call("GET", path)
    rows = [[one["name"], one["quantity"] or "", f"{one['supply']:,}", f"{one['tax']:,}"] for one in found["items"]]
    sides = [f"{name}: {found[name]['name']} {found[name]['number'] or '(abroad)'}" for name in ("invoicer", "invoicee")]
    sums = f"Supply {found['supply']:,}   VAT {found['tax']:,}   Total {found['total']:,} KRW"
    lines = [f"{found['id']} of {found['day']}", *sides, table(["item", "quantity", "KRW", "VAT"], rows, right={1, 2, 3}), sums]
    show(found, as_json=as_json, text="\n".join(lines))


def ask_for_approval(quote_id: str, note: str, persons: tuple[str, ...]) -> Any:
    """Ask those of the organisation who may pay to pay a quote."""
    return Client.from_environment().call("POST", "/approvals", {"quote": quote_id, "note": note, "persons": list(persons)})
