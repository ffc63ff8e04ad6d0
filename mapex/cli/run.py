"""The operator's commands that run or examine the exchange: serve, worker, fsck, doctor."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mapex.cli.options import as_json_option, the_exchange
from mapex.cli.output import show
from mapex.cli.server import guard
from mapex.cli.server.logs import log_to_stderr
from tiles import extras

OPEN_NET = """No proxy is in front (MAPEX_PROXIES=0): not for the open net, see "In front of it" in docs/operator.md.
앞에 프록시가 없습니다. 이대로 인터넷에 공개하지 마세요."""
"""What `serve` says where callers come directly."""


@click.command()
@click.option("--host", help="Address to listen on. Default: the setting (127.0.0.1).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port. Default: the setting (8080).")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1, 64), help="Requests a process answers at the same time.")
@click.option(
    "--processes",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Web processes; several need granian (extra `scale`).",
)
@click.option(
    "--server",
    type=click.Choice(["waitress", "granian"]),
    help="What speaks HTTP. Default: waitress; granian for several processes.",
)
@click.option("--access-log", is_flag=True, help="Log each request: id, method, path, status, bytes, ms. Default: the setting (off).")
def serve(host: str | None, port: int | None, threads: int, processes: int, server: str | None, access_log: bool) -> None:
    """Serve pages and API. Listens on 127.0.0.1 unless --host or the setting names another address."""
    server = server or ("granian" if processes > 1 else "waitress")
    if server == "waitress" and processes > 1:
        raise click.UsageError("waitress serves in one process; leave --processes out, or give --server granian.")
    if host is not None:
        os.environ["MAPEX_HOST"] = host
    if port is not None:
        os.environ["MAPEX_PORT"] = str(port)
    if access_log:
        os.environ["MAPEX_ACCESS_LOG"] = "true"
    from mapex.database import roles

    guard.check()
    with the_exchange() as ex:
        log_to_stderr(ex.settings.log_level)
        roles.check(ex)
        several = extras.load("mapex.cli.server.processes") if server == "granian" else None
        click.echo(f"mapex listens on http://{ex.settings.host}:{ex.settings.port}", err=True)
        if not ex.settings.proxies:
            click.echo(OPEN_NET, err=True)
        if several is not None:
            several.serve(ex, processes=processes, threads=threads)
        else:
            from mapex.atlas import lookup
            from mapex.cli.server import built_in
            from web import create_app

            # With proxies in front, `create_app` reads their header; without, nobody may send one.
            is_behind = bool(ex.settings.proxies)
            lookup.read_ahead(ex)
            built_in.serve(create_app(ex), host=ex.settings.host, port=ex.settings.port, threads=threads, is_behind_proxy=is_behind)


@click.command()
@click.option("--once", is_flag=True, help="Stop when no job is waiting.")
def worker(once: bool) -> None:
    """Turn uploads into tiles until stopped; any number of workers may run. SIGTERM finishes the present step and stops."""
    import signal
    import threading
    from types import FrameType

    from ingest.worker.loop import run

    stop = threading.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    from mapex.database import roles

    guard.check()
    with the_exchange() as ex:
        log_to_stderr(ex.settings.log_level)
        roles.check(ex)
        run(ex, stop, once=once)


@click.command()
@click.option("--deep", is_flag=True, help="Also read every object and compare its sha256.")
@click.option(
    "--checkpoint",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A checkpoint of the log that was kept elsewhere (saved on the page Verify the log). Repeat for each.",
)
@as_json_option
@click.pass_context
def fsck(context: click.Context, deep: bool, files: tuple[Path, ...], as_json: bool) -> None:
    """Check every invariant; exit status 1 when one is broken.

    The log is read again from its first entry: each is what was committed to, and all of them make the present state.
    """
    from mapex.operation import fsck as invariants
    from mapex.operation.replay.roots import from_file

    kept = [from_file(file.read_text(encoding="utf-8", errors="replace"), file.name) for file in files]
    with the_exchange() as ex:
        checks = invariants.check(ex, deep=deep, kept=kept)
    ok = all(c.ok for c in checks)
    records = [{"name": c.name, "ok": c.ok, "count": c.count, "message": c.message} for c in checks]
    lines = [f"{'ok ' if c.ok else 'BAD'}  {c.name}: {c.message}" for c in checks]
    show(
        {"ok": ok, "checks": records}, as_json=as_json, text="\n".join([*lines, "All invariants hold." if ok else "Broken: see BAD above."])
    )
    if not ok:
        context.exit(1)


@click.command()
@as_json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Show what is present and missing, and attack the exchange: its store, its cage, its files, its database.

    Exit status 1 when something needed is missing, or an attack worked: the exchange then neither publishes nor grants footage until
    doctor passes.
    """
    from mapex.cli.server import health

    found = health.examine()
    marks = {"ok": "ok      ", "warning": "WARNING ", "missing": "MISSING ", "broken": "BROKEN  "}
    lines = [f"{marks[f.state]}{f.name}: {f.message}" + (f"\n        -> {f.fix}" if f.fix and f.state != "ok" else "") for f in found]
    ok = all(f.state not in ("missing", "broken") for f in found)
    records = [{"name": f.name, "state": f.state, "message": f.message, "fix": f.fix} for f in found]
    show({"ok": ok, "checks": records}, as_json=as_json, text="\n".join(lines))
    if not ok:
        context.exit(1)
