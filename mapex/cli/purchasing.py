"""Who may pay and who asks for it; what stands on tax invoices, and the invoices themselves."""

from __future__ import annotations

from typing import Any

import click

from mapex.cli.options import as_json_option
from mapex.cli.output import show, table
from mapex.client.http import Client, segment
from mapex.errors import Invalid
from mapex.texts import one_line


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
