"""The seller's commands: inspect, tile, push, publish."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import click

from mapex.cli.output import EXIT_CODES, show, size, table
from mapex.client.bar import bar
from mapex.client.http import Client
from mapex.errors import Conflict, Invalid

placement_options = (
    click.option("--crs", metavar="EPSG:N", help="Coordinate reference system, when the file does not say."),
    click.option("--origin", metavar="LON,LAT[,H]", help="Where the local zero point lies, for data in a sensor's or site's own frame."),
    click.option("--height-datum", metavar="NAME", help="What heights count from: ellipsoid, KVD1964, EGM2008, ..."),
)


def _placed(command: Any) -> Any:
    for option in reversed(placement_options):
        command = option(command)
    return command


def placement(crs: str | None, origin: str | None, height_datum: str | None) -> dict[str, Any]:
    """The placement that the options describe, as the API takes it. Raises Invalid on a malformed origin."""
    said: dict[str, Any] = {}
    if crs:
        said["crs"] = crs
    if origin:
        try:
            numbers = [float(v) for v in origin.split(",")]
        except ValueError as error:
            raise Invalid("cli.origin", f"--origin {origin!r} is not LON,LAT or LON,LAT,H in degrees and metres.") from error
        if len(numbers) not in (2, 3):
            raise Invalid("cli.origin", f"--origin {origin!r} has {len(numbers)} numbers; give LON,LAT or LON,LAT,H.")
        said["origin"] = numbers
    if height_datum:
        said["height_datum"] = height_datum
    return said


def findings_text(findings: list[dict[str, Any]]) -> str:
    """Findings as lines for people, errors first."""
    order = {"error": 0, "warning": 1, "info": 2}
    lines = []
    for f in sorted(findings, key=lambda f: order.get(f["severity"], 3)):
        where = " ".join(str(f[k]) for k in ("file", "layer", "feature") if f.get(k))
        more = f" ({f['count']} times)" if f.get("count", 1) > 1 else ""
        lines.append(f"{f['severity']:>7}  {f['code']}: {where}: {f['message']}{more}" + (f" -> {f['fix']}" if f.get("fix") else ""))
    return "\n".join(lines)


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@_placed
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Also write a small map picture (PNG) here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(file: Path, crs: str | None, origin: str | None, height_datum: str | None, picture: Path | None, as_json: bool) -> int:
    """Dry run: what FILE is, where it lands, and what is wrong with it. Nothing is sent.

    Exit status 8 when FILE was read and cannot be published as it is: a finding is an error, or it is not known where the data lie.
    """
    from ingest.conversion.dry_run import inspect as look
    from ingest.reader import Placement

    with bar(f"Reading {file.name}"):
        told = look(file, Placement.from_json(placement(crs, origin, height_datum)), picture=picture)
    counts = told["counts"]
    lines = [
        f"{file.name}: {told['kind']}",
        f"CRS    {_crs_name(told['crs'])} ({told['crs_source']})   heights {told.get('height_datum', 'unknown')}",
        f"box    {', '.join(f'{v:.6f}' for v in told['box']) if told['box'] else 'unplaced'}",
        "counts " + ", ".join(f"{counts[k]:,} {k}" for k in ("read", "placed", "unplaced", "rejected")),
    ]
    show(told, as_json=as_json, text="\n".join([*lines, findings_text(told["findings"])]).rstrip())
    return 0 if is_publishable(told) else EXIT_CODES["not publishable"]


def _crs_name(crs: str | None) -> str:
    """What people call it: a code as it is, of a whole definition (WKT) only its name."""
    found = re.match(r'[A-Z]+\["([^"]+)"', crs or "")
    return found[1] if found else crs or "unknown"


def is_publishable(told: dict[str, Any]) -> bool:
    """Whether what `inspect` told of can be published as it is: no finding is an error, and it is known where all of its files lie."""
    is_placed = told["crs_source"] != "none" and told["counts"]["placed"] > 0
    return is_placed and all(finding["severity"] != "error" for finding in told["findings"])


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the tiles.")
@_placed
@click.option("--zoom", default=16, show_default=True, type=click.IntRange(16, 16), help="Zoom of the cells: 16, the sale cell.")
@click.option("--recount", is_flag=True, help="Open every tile again and compare, as the exchange does with uploads.")
@click.option("--processes", default=0, type=click.IntRange(0, 64), help="Processes to use; 0 = as many as there are cores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tile(
    file: Path,
    out: Path,
    crs: str | None,
    origin: str | None,
    height_datum: str | None,
    zoom: int,
    recount: bool,
    processes: int,
    as_json: bool,
) -> None:
    """Cut FILE into tiles in a folder, without an exchange: the same tiles that the exchange would sell."""
    del zoom  # one value; the option is there so that scripts may say it
    from ingest.conversion.convert import tile_file
    from ingest.reader import Placement

    with bar(f"Tiling {file.name}") as progress:
        told = tile_file(
            file,
            out,
            Placement.from_json(placement(crs, origin, height_datum)),
            processes=processes,
            progress=progress.update,
            recount=recount,
        )
    rows = [[y["name"], y["kind"], str(y["tiles"]), f"{y['counts']['placed']:,}"] for y in told["layers"]]
    text = table(["layer", "kind", "tiles", "placed"], rows, right={2, 3}) + "\n" + findings_text(told["findings"])
    show(told, as_json=as_json, text=text.rstrip())


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
@_placed
@click.option("--wait", is_flag=True, help="Wait until the version is checked and tiled.")
@click.option("--streams", default=4, show_default=True, type=click.IntRange(1, 16), help="Parts sent at the same time.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def push(
    paths: tuple[Path, ...],
    dataset: str,
    title: str | None,
    classes: tuple[str, ...],
    crs: str | None,
    origin: str | None,
    height_datum: str | None,
    wait: bool,
    streams: int,
    as_json: bool,
) -> None:
    """Upload files or folders as a new version of a dataset. After a kill, the same command goes on where it stopped."""
    from mapex.client.upload import Sending, files_of, pairs

    client = Client.from_environment()
    files = files_of(paths)
    request: dict[str, Any] = placement(crs, origin, height_datum)
    plain = [c for c in classes if "=" not in c]
    if len(plain) > 1:
        raise Invalid("cli.class", f"--class was given as {' and '.join(plain)}. Give one, or LAYER=CLASS for each layer.")
    if plain:
        request["class"] = plain[0]
    if len(plain) < len(classes):
        request["classes"] = dict(pairs(tuple(c for c in classes if "=" in c), "--class"))
    client.call("POST", "/datasets", {"slug": dataset, "title": title or dataset})
    with bar("Uploading", in_bytes=True) as progress:
        sending = Sending(client, progress, sum(f.size for f in files), streams=streams)
        request["uploads"] = [sending.send(file) for file in files]
    started = client.call("POST", f"/datasets/{dataset}/versions", request)
    if not wait:
        text = (
            f"{len(files)} files, {size(sum(f.size for f in files))}, are version {started['version']} of {dataset}; job {started['job']}."
        )
        show({**started, "layers": [], "findings": []}, as_json=as_json, text=text)
        return
    wait_for(client, started["job"])
    version = client.call("GET", f"/datasets/{dataset}/versions/{started['version']}")
    told = {k: version[k] for k in ("dataset", "version", "state", "layers", "findings")}
    if version["state"] == "rejected":
        errors = [f for f in version["findings"] if f["severity"] == "error"]
        first = f"{errors[0]['file']}: {errors[0]['message']} {errors[0]['fix']}".strip() if errors else ""
        many = "an error" if len(errors) == 1 else f"{len(errors)} errors"
        raise Invalid("version.rejected", f"Version {version['version']} of {dataset} has {many} and cannot be sold. {first}", **told)
    if version["state"] == "unplaced":
        why = [f for f in version["findings"] if f["code"].startswith(("crs.", "place.", "unplaced"))] or version["findings"]
        first = f"{why[0]['file']}: {why[0]['message']} {why[0]['fix']}".strip() if why else ""
        raise Conflict("version.unplaced", f"Version {version['version']} of {dataset} waits to be placed. {first}", **told)
    rows = [[y["name"], y["kind"], y["class"] or "-", str(y["tiles"]), f"{y['counts']['placed']:,}"] for y in version["layers"]]
    head = f"Version {version['version']} of {dataset}: {version['state']}"
    text = "\n".join([head, table(["layer", "kind", "class", "tiles", "placed"], rows, right={3, 4}), findings_text(version["findings"])])
    show(told, as_json=as_json, text=text.rstrip())


def wait_for(client: Client, job_id: str) -> None:
    """Return when the job is done. Raises Conflict with the job's own code when it failed or was cancelled."""
    with bar("Waiting for a worker") as progress:
        pause = 0.1
        while True:
            job = client.call("GET", f"/jobs/{job_id}")
            done = job.get("progress") or {}
            progress.update(done.get("done", 0), done.get("total"), done.get("stage"))
            if job["state"] in ("done", "failed", "cancelled"):
                break
            time.sleep(pause)
            pause = min(1.0, pause * 1.3)
    if job["state"] != "done":
        error = job.get("error") or {}
        raise Conflict(error.get("code", f"job.{job['state']}"), error.get("message", f"The job was {job['state']}."), job=job_id)


@click.command()
@click.argument("dataset")
@click.option("--rate", "rates", multiple=True, metavar="UNIT=KRW", help="Price per unit, for example lane_km=6300. Repeat for each unit.")
@click.option("--licence", required=True, help="research, commercial or share_alike.")
@click.option("--attribution", default="", help="Names that buyers must show.")
@click.option("--version", type=int, help="Version to publish. Default: the newest draft.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def publish(dataset: str, rates: tuple[str, ...], licence: str, attribution: str, version: int | None, as_json: bool) -> None:
    """Put a version on sale, all layers or none. It replaces the version that is on sale now."""
    from mapex.client.upload import pairs

    card: dict[str, int] = {}
    for unit, price in pairs(rates, "--rate"):
        if not price.isascii() or not price.isdigit():
            raise Invalid("cli.rate", f"--rate {unit}={price}: a rate is a whole number of KRW, 0 or more.")
        card[unit] = int(price)
    body: dict[str, Any] = {"rates": card, "licence": licence, "attribution": attribution}
    if version is not None:
        body["version"] = version
    told = Client.from_environment().call("POST", f"/datasets/{dataset}/publish", body)
    show(told, as_json=as_json, text=f"Version {told['version']} of {told['dataset']} is {told['state']}.")


@click.command()
@click.argument("dataset")
@click.argument("version", type=int)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recall(dataset: str, version: int, yes: bool, as_json: bool) -> None:
    """Take a version back for good: off the market, and no longer readable for those who bought it."""
    client = Client.from_environment()
    path = f"/datasets/{dataset}/versions/{version}"
    held = client.call("GET", f"{path}/holders")["holders"]
    if not yes:
        question = f"{held} organisations hold tiles of version {version} of {dataset} and can then no longer download them. Recall it?"
        click.confirm(question, abort=True, err=True)
    told = client.call("POST", f"{path}/recall", {})
    show(told, as_json=as_json, text=f"Version {version} of {dataset} is recalled; {told['holders']} organisations hold tiles of it.")
