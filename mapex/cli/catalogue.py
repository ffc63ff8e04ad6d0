"""What there is: dataset, version. Own ones with their findings, those of others as far as they are on sale."""

from __future__ import annotations

from typing import Any

import click

from mapex.cli.options import as_json_option
from mapex.cli.output import findings_text, show, table
from mapex.client.http import Client, segment
from mapex.texts import one_line, shown


@click.group()
def dataset() -> None:
    """Datasets that you may see."""


@dataset.command(name="list")
@as_json_option
def dataset_list(as_json: bool) -> None:
    """List datasets, your own first."""
    found = Client.from_environment().call("GET", "/datasets")
    rows = [[d["slug"], d["org"], d["title"], _number(d["newest"]), _number(d["published"])] for d in found["datasets"]]
    text = table(["dataset", "firm", "title", "newest", "on sale"], rows, right={3, 4}) if rows else "No datasets."
    show(found, as_json=as_json, text=text)


@dataset.command(name="describe")
@click.argument("slug", metavar="DATASET")
@click.option("--ko", metavar="FILE", type=click.File(encoding="utf-8"), help="Description in Korean; - reads standard input.")
@click.option("--en", metavar="FILE", type=click.File(encoding="utf-8"), help="Description in English.")
@click.option("--accuracy", "accuracy_m", type=click.FloatRange(0.001, 1000), metavar="METRES", help="Accuracy as you state it.")
@click.option("--basis", "accuracy_basis", metavar="TEXT", help="What that number is: 1 sigma, RMSE at check points.")
@click.option("--method", metavar="TEXT", help="How it was surveyed.")
@click.option("--sensors", metavar="TEXT", help="With what.")
@click.option("--sample/--no-sample", default=None, help="Whether a tile of each layer that may be shown is free to look at.")
@as_json_option
def dataset_describe(slug: str, as_json: bool, **described: Any) -> None:
    """What buyers read about your dataset. What no option names stays; without options it is shown."""
    changes = {name: value.read() if name in ("ko", "en") else value for name, value in described.items() if value is not None}
    path = f"/datasets/{segment(slug)}/description"
    found = Client.from_environment().call("PATCH" if changes else "GET", path, changes or None)
    show(found, as_json=as_json, text=_description_text(found))


def _description_text(found: dict[str, Any]) -> str:
    accuracy = "not stated" if found["accuracy_m"] is None else f"{found['accuracy_m']:g} m {one_line(found['accuracy_basis'])}"
    lines = [f"Accuracy: {accuracy}", f"Free sample: {'yes' if found['sample'] else 'no'}"]
    lines += [f"{name.capitalize()}: {shown(found[name])}" for name in ("method", "sensors") if found[name]]
    return "\n".join([*lines, *(f"\n{shown(found[name])}" for name in ("ko", "en") if found[name])])


@click.group()
def version() -> None:
    """Versions of a dataset: their state, layers and findings."""


_org_option = click.option("--org", help="Whose dataset, when several organisations have one of that name. Default: your own first.")


@version.command(name="list")
@click.argument("dataset")
@_org_option
@as_json_option
def version_list(dataset: str, org: str | None, as_json: bool) -> None:
    """List the versions of a dataset, newest first."""
    found = Client.from_environment().call("GET", f"/datasets/{segment(dataset)}/versions", query={"org": org})
    rows = [[str(v["version"]), v["state"], v["created_at"], v["published_at"] or "-"] for v in found["versions"]]
    text = table(["version", "state", "begun (UTC)", "published (UTC)"], rows, right={0}) if rows else "No versions."
    show(found, as_json=as_json, text=text)


@version.command(name="show")
@click.argument("dataset")
@click.argument("number", type=click.IntRange(1), metavar="VERSION")
@_org_option
@as_json_option
def version_show(dataset: str, number: int, org: str | None, as_json: bool) -> None:
    """State, layers and findings of a version."""
    found = Client.from_environment().call("GET", f"/datasets/{segment(dataset)}/versions/{number}", query={"org": org})
    show(found, as_json=as_json, text=version_text(found))


def version_text(found: dict[str, Any]) -> str:
    """A version as people read it: its state, a table of its layers, its findings."""
    rows = [[y["name"], y["kind"], y["class"] or "-", str(y["tiles"]), f"{y['counts'].get('placed', 0):,}"] for y in found["layers"]]
    layers = [table(["layer", "kind", "class", "tiles", "placed"], rows, right={3, 4})] if rows else []
    lines = [f"Version {found['version']} of {found['dataset']}: {found['state']}", *layers]
    if out := found.get("left_out"):
        lines.append(f"Left out: {one_line(', '.join(out))}")
    lines += [f"The same content as version {one['version']} of {one['dataset']} ({one['state']})" for one in found.get("same_as", ())]
    lines.append(findings_text(found["findings"]))
    return "\n".join(lines).rstrip()


def _number(number: int | None) -> str:
    return "-" if number is None else str(number)


@click.group()
def question() -> None:
    """Questions to sellers, and those that were put to you."""


@question.command(name="list")
@as_json_option
def question_list(as_json: bool) -> None:
    """List the questions of your organisation, those with something new first."""
    found = Client.from_environment().call("GET", "/questions")
    rows = [["new" if q["unread"] else "", q["id"], q["dataset"], q["asker"], q["newest_at"]] for q in found["questions"]]
    show(found, as_json=as_json, text=table(["", "question", "dataset", "asked by", "newest (UTC)"], rows) if rows else "No questions.")


@question.command(name="show")
@click.argument("number", metavar="QUESTION")
@as_json_option
def question_show(number: str, as_json: bool) -> None:
    """Show a question with its messages; it is then nothing new."""
    found = Client.from_environment().call("GET", f"/questions/{segment(number)}")
    show(found, as_json=as_json, text=_question_text(found))


@question.command(name="ask")
@click.argument("of", metavar="FIRM/DATASET")
@click.argument("text")
@as_json_option
def question_ask(of: str, text: str, as_json: bool) -> None:
    """Ask the seller of a dataset. It sees the name of your organisation, not yours."""
    org, _, slug = of.partition("/")
    found = Client.from_environment().call("POST", f"/datasets/{segment(org)}/{segment(slug)}/questions", {"text": text})
    show(found, as_json=as_json, text=_question_text(found))


@question.command(name="answer")
@click.argument("number", metavar="QUESTION")
@click.argument("text")
@as_json_option
def question_answer(number: str, text: str, as_json: bool) -> None:
    """Write on in a question."""
    found = Client.from_environment().call("POST", f"/questions/{segment(number)}/messages", {"text": text})
    show(found, as_json=as_json, text=_question_text(found))


def _question_text(found: dict[str, Any]) -> str:
    messages = [f"\n{message['org']}, {message['at']}:\n{shown(message['text'])}" for message in found["messages"]]
    return "\n".join([f"{found['id']}  {found['dataset']}, asked by {found['asker']}", *messages])
