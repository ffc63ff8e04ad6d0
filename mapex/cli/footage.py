"""Footage: the review that lets it be sold as pseudonymised, and a second look at what was released."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click

from mapex.cli.options import as_json_option, pairs, the_exchange
from mapex.cli.output import show, table
from mapex.client.http import Client, segment


@click.group()
def footage() -> None:
    """Footage: what was proven to show nobody."""


@footage.command(name="clear")
@click.argument("dataset")
@click.argument("version", type=int)
@click.argument("layer")
@click.option("--evidence", required=True, help="What was examined, how and by whom; goes into the log.")
@as_json_option
def footage_clear(dataset: str, version: int, layer: str, evidence: str, as_json: bool) -> None:
    """Let LAYER of a draft (DATASET as ORG/SLUG) be pseudonymised: it was proven to show no recognisable person or plate."""
    from mapex.offers import reviews

    with the_exchange() as ex:
        made = reviews.clear(ex, None, dataset, version, layer, evidence)
    record = {"dataset": dataset, "version": version, "layer": layer, "class": made.handling_class}
    show(record, as_json=as_json, text=f"Layer {layer} of {dataset} version {version} is {made.handling_class}.")


@footage.command(name="request")
@click.argument("dataset")
@click.argument("version", type=int)
@click.argument("layer")
@click.option("--method", required=True, help="How people and plates were made unrecognisable.")
@click.option("--tool", required=True, help="With what: program and version.")
@click.option("--sample", required=True, type=click.IntRange(1), help="How many frames were looked at afterwards.")
@click.option("--statement", required=True, help="Who looked at them, and what they found.")
@click.option("--document", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="A report, at most 5 MiB.")
@as_json_option
def footage_request(dataset: str, version: int, layer: str, document: Path | None, as_json: bool, **stated: Any) -> None:
    """Ask, as its seller, that LAYER of a draft be accepted as pseudonymised. Talks to MAPEX_URL."""
    body: dict[str, Any] = {"layer": layer, **stated}
    if document is not None:
        body["document"] = {"name": document.name, "base64": base64.b64encode(document.read_bytes()).decode()}
    made = Client.from_environment().call("POST", f"/datasets/{segment(dataset)}/versions/{version}/review", body)
    show(made, as_json=as_json, text=f"Review {made['id']} of {layer} is {made['state']}.")


@footage.command(name="reviews")
@click.option("--state", default="", help="requested, under_review, accepted or refused.")
@as_json_option
def footage_reviews(state: str, as_json: bool) -> None:
    """Reviews of footage: your organisation's; for operators and auditors all. Talks to MAPEX_URL."""
    found = Client.from_environment().call("GET", "/reviews", query={"state": state})["reviews"]
    rows = [[r["id"], f"{r['org']}/{r['dataset']}", str(r["version"]), r["layer"], r["state"], r["steps"][-1]["at"]] for r in found]
    text = table(["review", "dataset", "version", "layer", "state", "since"], rows, right={2}) if rows else "No reviews."
    show({"reviews": found}, as_json=as_json, text=text)


@footage.command(name="begin")
@click.argument("review_id")
@as_json_option
def footage_begin(review_id: str, as_json: bool) -> None:
    """Take a request up, as an operator. Talks to MAPEX_URL."""
    made = Client.from_environment().call("POST", f"/reviews/{segment(review_id)}/begin", {})
    show(made, as_json=as_json, text=f"Review {review_id} is {made['state']}.")


@footage.command(name="decide")
@click.argument("review_id")
@click.option("--accept/--refuse", "accepted", required=True, default=None, help="What was decided.")
@click.option("--reviewer", "reviewers", multiple=True, metavar="NAME=ORGANISATION", required=True, help="Who reviewed; repeat.")
@click.option("--met", "criteria", multiple=True, help="A criterion that is met: faces, plates, texts, metadata, linkage, sample; repeat.")
@click.option("--risk", required=True, help="The risk that remains.")
@click.option("--reasons", default="", help="Why; needed to refuse.")
@click.option("--valid-to", help="Until when it holds (ISO 8601); needed to accept.")
@as_json_option
def footage_decide(
    review_id: str, accepted: bool, reviewers: tuple[str, ...], risk: str, valid_to: str | None, as_json: bool, **given: Any
) -> None:
    """Enter what the reviewers decided, as an operator. Talks to MAPEX_URL."""
    named = [{"name": name, "organisation": organisation} for name, organisation in pairs(reviewers, "--reviewer")]
    body = {"accepted": accepted, "reviewers": named, "residual_risk": risk, "valid_to": valid_to, "reasons": given["reasons"]}
    body["criteria"] = list(given["criteria"])
    made = Client.from_environment().call("POST", f"/reviews/{segment(review_id)}/decision", body)
    show(made, as_json=as_json, text=f"Review {review_id} is {made['state']}.")


@footage.command(name="check")
@click.argument("dataset", required=False)
@as_json_option
@click.pass_context
def footage_check(context: click.Context, dataset: str | None, as_json: bool) -> None:
    """Look again at layers that were released as less than original, of all datasets or of DATASET (ORG/SLUG).

    The exit status is 1 when one may show pictures. Every tile is opened in a cage, so that it takes as long as reading did. Nothing is
    changed: ask the seller to recall what is named.
    """
    from ingest.worker import second_look

    records = []
    with the_exchange() as ex:
        for released, doubts in second_look.look(ex, dataset):
            found = [{"where": one.finding.feature, "why": one.finding.value or one.finding.message} for one in doubts]
            about = {"dataset": released.dataset, "version": released.version, "layer": released.layer.name}
            records.append({**about, "class": released.layer.handling_class, "ok": not found, "doubts": found})
    lines = [f"{'ok ' if r['ok'] else 'LOW'}  {r['dataset']} {r['version']} {r['layer']} ({r['class']})" + _why(r) for r in records]
    ok = all(record["ok"] for record in records)
    show({"ok": ok, "layers": records}, as_json=as_json, text="\n".join([*lines, "No class is too low." if ok else "See LOW above."]))
    if not ok:
        context.exit(1)


def _why(record: dict[str, Any]) -> str:
    return "".join(f"\n     {doubt['where']}: {doubt['why']}" for doubt in record["doubts"][:5])
