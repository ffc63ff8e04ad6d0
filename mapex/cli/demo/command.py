"""`mapex demo`: an exchange with a made-up district, filled through the real pipeline, open in the browser.

Everything goes the way that a firm's data goes: uploaded over HTTP, opened in the cage, tiled, published, bought, downloaded.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mapex.cli.demo.fill import DONE, PERSONS, fill
from mapex.cli.server import guard
from mapex.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from mapex.config import Settings
    from mapex.exchange import Exchange


def default_folder() -> Path:
    """Where the demo lives unless an option names another folder."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "mapex" / "demo"


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="Where it lives. Default: in your state folder.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Port; the next free one is taken.")
@click.option("--fresh", is_flag=True, help="Throw the old demo away and make it anew.")
@click.option("--exit", "leave", is_flag=True, help="Stop after the data is in.")
def demo(folder: Path | None, port: int, fresh: bool, leave: bool) -> None:
    """Run an exchange with a made-up district: two sellers, two buyers, an auditor, permits. Opens no outside address."""
    guard.check()
    place = (folder or default_folder()).absolute()
    if fresh and place.exists():
        if not (place / "mapex.toml").exists():
            raise Conflict("demo.not_ours", f"{place} is no demo of mapex; it was left alone.")
        shutil.rmtree(place)
    if (place / "mapex.toml").exists() and not (place / DONE).exists():
        shutil.rmtree(place)  # a demo that was killed while it was made
    settings = _settings(place, _free_port(port))
    with _running(settings) as ex:
        left_out = "" if (place / DONE).exists() else fill(ex, place)
        logins = json.loads((place / DONE).read_text(encoding="utf-8"))
        click.echo(welcome(ex.settings.public_url, logins))
        if left_out:
            click.echo(left_out)
        if not leave:
            click.echo("Stop with Ctrl+C.")
            _wait_to_be_stopped()


def _wait_to_be_stopped() -> None:
    """Return at Ctrl+C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(3600):
        pass


def welcome(url: str, logins: dict[str, str]) -> str:
    """The text for the terminal when the demo is open."""
    width = max(map(len, logins))
    lines = ["", f"  mapex is open:  {url}", "", "  Log in as (everybody has the same password, made for this demo):"]
    lines += [f"    {mail.ljust(width)}  {PERSONS[mail][2]}" for mail in logins]
    lines += [f"  Password: {next(iter(logins.values()))}", "", "  For this machine only: the open net needs a proxy (docs/operator.md)."]
    return "\n".join([*lines, "  이 컴퓨터에서만 쓰세요. 인터넷에 공개하려면 프록시가 필요합니다.", ""])


def _free_port(port: int) -> int:
    for candidate in range(port, min(port + 50, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return candidate
    raise Unavailable("demo.no_port", f"No free port from {port} on. Name another with --port.")


OPERATOR: Mapping[str, Any] = {
    **{
        "operator_number": "000-00-00000",
        "operator_name": "데모 거래소",
        "operator_representative": "데모",
        "operator_address": "데모 주소",
    },
    **{"operator_business_type": "서비스업", "operator_item": "데이터 거래", "operator_email": "tax@mapex.example"},
}
"""What stands on tax invoices of the demo: a number that nobody has."""


def _settings(place: Path, port: int) -> Settings:
    from mapex import config, modes
    from mapex.cli.server import surroundings
    from mapex.people import mail

    url = f"http://127.0.0.1:{port}"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MAPEX_")}
    surroundings.check_place(place)
    modes.make_folder(place)
    settings = config.load(place, clean) if (place / "mapex.toml").exists() else config.initialise(place, clean)
    if not mail.is_set_up(settings):  # mail can be tried out too: each letter is a file
        settings = replace(settings, mail_folder=Path("mail"), mail_from="mapex@demo.example")
    here = replace(settings, host="127.0.0.1", port=port, public_url=url, store_public_url=url, demo=True)
    return replace(here, basemap=_map_of_the_town(place), fee_percent=Decimal(10), **OPERATOR)


def _map_of_the_town(place: Path) -> str:
    """The base map of the district; it is drawn where it is absent, in a demo of an older version too."""
    from mapex.cli.demo import town

    path = place / town.FILE
    if not path.exists():
        town.write(path)
    return str(path)


@contextmanager
def _running(settings: Settings) -> Iterator[Exchange]:
    """The exchange with its web server (threads) and one worker (process) for the time of the block."""
    from mapex import modes
    from mapex.atlas import lookup
    from mapex.cli.server.built_in import serving
    from mapex.database.opening import open_exchange
    from web import create_app

    ex = open_exchange(settings)
    lookup.read_ahead(ex)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MAPEX_")}
    worker = subprocess.Popen(
        # -P: no folder of where the demo was started hides a package of ours.
        [sys.executable, "-P", "-c", "from mapex.cli import main; main(['worker'])"],
        env=clean
        | {"MAPEX_DIR": str(settings.dir), "MAPEX_LOG_LEVEL": "WARNING", "MAPEX_DEMO": "true"}
        | {"MAPEX_MAIL_FOLDER": str(settings.mail_folder), "MAPEX_MAIL_FROM": settings.mail_from, "MAPEX_PUBLIC_URL": settings.public_url},
        start_new_session=True,  # Ctrl+C reaches the demo only, which then stops the worker in order
    )
    try:
        with modes.only_ours(), serving(create_app(ex), host=settings.host, port=settings.port):
            yield ex
    finally:
        worker.terminate()
        worker.wait(timeout=30)
        ex.engine.dispose()
