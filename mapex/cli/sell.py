"""The seller's commands: inspect, tile, push, leave-out, remove, publish, withdraw, recall."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from mapex.cli.catalogue import version_text
from mapex.cli.options import as_json_option, pairs, with_placement
from mapex.cli.output import EXIT_CODES, findings_text, show, size, table
from mapex.client.bar import bar
from mapex.client.http import Client, segment
from mapex.client.jobs import wait_for
from mapex.errors import Conflict, Invalid
from mapex.texts import one_line


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@with_placement
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Also write a small map picture (PNG) here.")
@as_json_option
def inspect(file: Path, placed: dict[str, Any], picture: Path | None, as_json: bool) -> int:
    """Dry run: what FILE is, where it lands, and what is wrong with it. Nothing is sent.

    Exit status 8 when FILE was read and cannot be published as it is: a finding is an error or a question, or it is not known where the
    data is.
    """
    from ingest.conversion.dry_run import inspect as look
    from mapex.intake.placement import Placement

    with bar(f"Reading {file.name}"):
        report = look(file, Placement.from_json(placed), picture=picture)
    counts = report["counts"]
    lines = [
        f"{one_line(file.name)}: {report['kind']}",
        f"CRS    {one_line(_crs_name(report['crs']))} ({report['crs_source']})   heights {one_line(report.get('height_datum', 'unknown'))}",
        f"box    {', '.join(f'{v:.6f}' for v in report['box']) if report['box'] else 'unplaced'}",
        "counts " + ", ".join(f"{counts[k]:,} {k}" for k in ("read", "placed", "unplaced", "rejected")),
    ]
    show(report, as_json=as_json, text="\n".join([*lines, findings_text(report["findings"])]).rstrip())
    return 0 if is_publishable(report) else EXIT_CODES["not publishable"]


def _crs_name(crs: str | None) -> str:
    """What people call it: a code as it is, of a whole definition (WKT) only its name."""
    found = re.match(r'[A-Z]+\["([^"]+)"', crs or "")
    return found[1] if found else crs or "unknown"


def is_publishable(report: dict[str, Any]) -> bool:
    """Whether an inspected file can be published as it is: no finding is an error or asks, and it is known where all of its data is."""
    is_placed = report["crs_source"] != "none" and report["counts"]["placed"] > 0
    return is_placed and all(finding["severity"] not in ("error", "question") for finding in report["findings"])


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the tiles.")
@with_placement
@click.option("--zoom", default=16, show_default=True, type=click.IntRange(16, 16), help="Zoom of the cells: 16, the sale cell.")
@click.option("--recount", is_flag=True, help="Open every tile again and compare, as the exchange does with uploads.")
@click.option("--processes", default=0, type=click.IntRange(0, 64), help="Processes to use; 0 = as many as there are cores.")
@as_json_option
def tile(file: Path, out: Path, placed: dict[str, Any], zoom: int, recount: bool, processes: int, as_json: bool) -> None:
    """Cut FILE into tiles in a folder, without an exchange: the same tiles that the exchange would sell."""
    del zoom  # one value; the option is there so that scripts may name it
    from ingest.conversion.local import tile_file
    from mapex.intake.placement import Placement

    with bar(f"Tiling {file.name}") as progress:
        where = Placement.from_json(placed)
        report = tile_file(file, out, where, processes=processes, progress=progress.update, recount=recount)
    rows = [[y["name"], y["kind"], str(y["tiles"]), f"{y['counts']['placed']:,}"] for y in report["layers"]]
    text = table(["layer", "kind", "tiles", "placed"], rows, right={2, 3}) + "\n" + findings_text(report["findings"])
    show(report, as_json=as_json, text=text.rstrip())


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, metavar="SLUG", help="The dataset; it is made if it does not exist.")
@click.option("--title", help="Title of a new dataset. Default: the slug.")
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="CLASS or LAYER=CLASS",
    help="Handling class: open, restricted, pseudonymised or original; one for all layers, or one per layer.",
)
@with_placement
@click.option(
    "--leave-out", "without", multiple=True, metavar="NAME", help="A file of these folders that is not to be sent. Repeat for each."
)
@click.option("--wait", is_flag=True, help="Wait until the version is checked and tiled.")
@click.option("--streams", default=4, show_default=True, type=click.IntRange(1, 16), help="Parts sent at the same time.")
@as_json_option
def push(
    paths: tuple[Path, ...],
    dataset: str,
    title: str | None,
    classes: tuple[str, ...],
    placed: dict[str, Any],
    without: tuple[str, ...],
    wait: bool,
    streams: int,
    as_json: bool,
) -> None:
    """Upload files or folders as a new version of a dataset. After a kill, the same command goes on where it stopped."""
    from mapex.client.upload import Sending, files_of

    client = Client.from_environment()
    files = files_of(paths, without)
    total = sum(file.size for file in files)
    request = {**placed, **_classes(classes)}
    client.call("POST", "/datasets", {"slug": dataset, "title": title or dataset}, repeatable=True)
    with bar("Uploading", in_bytes=True) as progress:
        sending = Sending(client, progress, total, streams=streams)
        request["uploads"] = [sending.send(file) for file in files]
    started = client.call("POST", f"/datasets/{segment(dataset)}/versions", request, repeatable=True)
    text = f"{len(files)} files, {size(total)}, are version {started['version']} of {dataset}; job {started['job']}."
    _show_started(client, started, text, wait=wait, as_json=as_json)


def _show_started(client: Client, started: dict[str, Any], text: str, *, wait: bool, as_json: bool) -> None:
    """Print that a version is on its way, or, waiting for it, what became of it."""
    if wait:
        wait_for(client, started["job"])
        path = f"/datasets/{segment(started['dataset'])}/versions/{started['version']}"
        return _show_version(client.call("GET", path), as_json=as_json)
    return show({**started, "layers": [], "findings": []}, as_json=as_json, text=text)


@click.command(name="leave-out")
@click.argument("dataset")
@click.argument("version", type=click.IntRange(1))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--wait", is_flag=True, help="Wait until the rest is checked and tiled.")
@as_json_option
def leave_out(dataset: str, version: int, names: tuple[str, ...], wait: bool, as_json: bool) -> None:
    """Go on with a version without some of its files: those called NAME, or else those at fault. Nothing is sent again."""
    client = Client.from_environment()
    path = f"/datasets/{segment(dataset)}/versions/{version}"
    files = list(names) or client.call("GET", path)["at_fault"]
    if not files:
        raise Invalid("cli.leave_out", f"No file of version {version} of {dataset} stands in the way alone. Name the files to leave out.")
    started = client.call("POST", f"{path}/leave-out", {"files": files})
    read, out = len(started["files"]), started["left_out"]
    text = f"Left out: {one_line(', '.join(out))}. {read} of {read + len(out)} files are read again; job {started['job']}."
    _show_started(client, started, text, wait=wait, as_json=as_json)


@click.command()
@click.argument("dataset")
@click.argument("version", type=click.IntRange(1))
@as_json_option
def remove(dataset: str, version: int, as_json: bool) -> None:
    """Remove a version that was never on sale, and its dataset when it has no other. The log keeps what happened."""
    Client.from_environment().call("DELETE", f"/datasets/{segment(dataset)}/versions/{version}")
    show({"dataset": dataset, "version": version, "state": "removed"}, as_json=as_json, text=f"Version {version} of {dataset} is removed.")


def _classes(given: tuple[str, ...]) -> dict[str, Any]:
    """What `--class` means, as the API takes it: `class` for all layers, `classes` by layer."""
    for_all = [one for one in given if "=" not in one]
    if len(for_all) > 1:
        raise Invalid("cli.class", f"`--class` was given as {' and '.join(for_all)}. Give one, or LAYER=CLASS for each layer.")
    by_layer = dict(pairs(tuple(one for one in given if "=" in one), "--class"))
    return {**({"class": for_all[0]} if for_all else {}), **({"classes": by_layer} if by_layer else {})}


def _show_version(version: dict[str, Any], *, as_json: bool) -> None:
    """Print what became of a version that was pushed. Raises Invalid or Conflict when it cannot be sold as it is."""
    name, findings = f"Version {version['version']} of {version['dataset']}", version["findings"]
    record = {
        key: version[key]
        for key in ("dataset", "version", "state", "layers", "findings", "at_fault", "left_out", "same_as")
        if key in version
    }
    if version["state"] == "rejected":
        errors = [finding for finding in findings if finding["severity"] == "error"]
        many = "an error" if len(errors) == 1 else f"{len(errors)} errors"
        text = f"{name} has {many} and cannot be sold. {_first(errors)} {_without(version)}"
        raise Invalid("version.rejected", text.strip(), **record)
    if version["state"] == "unplaced":
        why = [finding for finding in findings if finding["code"].startswith(("crs.", "place.", "unplaced"))] or findings
        raise Conflict("version.unplaced", f"{name} waits to be placed. {_first(why)}", **record)
    show(record, as_json=as_json, text=version_text(version))


def _without(version: dict[str, Any]) -> str:
    """The command that goes on without the files at fault, where that helps; an exchange of before does not know."""
    at_fault = version.get("at_fault", [])
    them = one_line(at_fault[0]) if len(at_fault) == 1 else f"the {len(at_fault)} files at fault"
    return f"To go on without {them}: mapex leave-out {version['dataset']} {version['version']}" if at_fault else ""


def _first(findings: list[dict[str, Any]]) -> str:
    """The first finding as a sentence and what to do; empty when there is none."""
    return f"{findings[0]['file']}: {findings[0]['message']} {findings[0]['fix']}".strip() if findings else ""


@click.command()
@click.argument("dataset")
@click.option("--rate", "rates", multiple=True, metavar="UNIT=KRW", help="Price per unit, for example lane_km=6300. Repeat for each unit.")
@click.option("--licence", required=True, help="research, commercial, share_alike or odbl.")
@click.option("--attribution", default="", help="Names that buyers must show.")
@click.option(
    "--credits-earlier", is_flag=True, help="Who bought the same tiles under narrower terms pays the price less what was paid then."
)
@click.option(
    "--updates",
    default="paid",
    show_default=True,
    metavar="paid|difference|free:MONTHS",
    help="What newer versions cost who buys: paid anew, what changed only (difference), or free for 1 to 36 months after the order, "
    "for example free:12.",
)
@click.option("--version", type=int, help="Version to publish. Default: the newest draft.")
@click.option(
    "--confirm",
    "confirmed",
    multiple=True,
    metavar="CODE",
    help="A question that you have looked at and that is right: of the findings, for example geometry.jump, or rates.unusual. Repeat.",
)
@click.option(
    "--accuracy",
    "accuracies",
    multiple=True,
    metavar="METRES|LAYER=METRES",
    help="How accurate the features are: what moved by less is no change for buyers. Repeat for layers. Default: as before, else 0.1.",
)
@as_json_option
def publish(
    dataset: str,
    rates: tuple[str, ...],
    licence: str,
    attribution: str,
    credits_earlier: bool,
    updates: str,
    version: int | None,
    confirmed: tuple[str, ...],
    accuracies: tuple[str, ...],
    as_json: bool,
) -> None:
    """Put a version on sale, all layers or none. It replaces the version that is on sale now."""
    card: dict[str, int] = {}
    for unit, price in pairs(rates, "--rate"):
        if not price.isascii() or not price.isdigit():
            raise Invalid("cli.rate", f"`--rate {unit}={price}`: a rate is a whole number of KRW, 0 or more.")
        card[unit] = int(price)
    body: dict[str, Any] = {"rates": card, "licence": licence, "attribution": attribution, "confirmed": list(confirmed)}
    if accuracies:
        body["accuracies"] = {layer: _metres(metres) for layer, metres in (_of_layer(one) for one in accuracies)}
    if credits_earlier:
        body["credits_earlier"] = True
    if updates != "paid":
        body["updates"] = updates
    if version is not None:
        body["version"] = version
    client = Client.from_environment()
    if fee := client.call("GET", "/settlements")["fee_percent"]:
        click.echo(f"The exchange takes a fee of {fee:g} %: you get {100 - fee:g} % of what buyers pay before VAT.", err=True)
    answer = client.call("POST", f"/datasets/{segment(dataset)}/publish", body, repeatable=True)
    show(answer, as_json=as_json, text=f"Version {answer['version']} of {answer['dataset']} is {answer['state']}.")


def _of_layer(text: str) -> tuple[str, str]:
    layer, equals, metres = text.rpartition("=")
    return (layer if equals else "*"), metres


def _metres(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Invalid("cli.accuracy", f"`--accuracy {text[:40]}`: an accuracy is a number of metres, for example 0.1.") from None


@click.command()
@click.argument("dataset")
@as_json_option
def withdraw(dataset: str, as_json: bool) -> None:
    """Take a dataset off the market; what was bought stays bought and can be downloaded."""
    answer = Client.from_environment().call("POST", f"/datasets/{segment(dataset)}/withdraw", {})
    show(answer, as_json=as_json, text=f"Version {answer['version']} of {answer['dataset']} is {answer['state']}.")


@click.command()
@click.argument("dataset")
@click.argument("version", type=int)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@as_json_option
def recall(dataset: str, version: int, yes: bool, as_json: bool) -> None:
    """Take a version back for good: off the market, no longer readable for those who bought it, and paid back to them."""
    client = Client.from_environment()
    path = f"/datasets/{segment(dataset)}/versions/{version}"
    held = client.call("GET", f"{path}/holders")
    if not yes:
        question = (
            f"{held['holders']} organisations hold tiles of version {version} of {dataset} and can then no longer download them. "
            f"They get {held['returned']:,} KRW back, of which you give {held['given']:,} KRW. Recall it?"
        )
        click.confirm(question, abort=True, err=True)
    answer = client.call("POST", f"{path}/recall", {})
    show(answer, as_json=as_json, text=_recalled(dataset, version, answer))


def _recalled(dataset: str, version: int, answer: Any) -> str:
    holders, returned = answer["holders"], answer["returned"]
    return f"Version {version} of {dataset} is recalled; {holders} organisations hold tiles of it and got {returned:,} KRW back."
