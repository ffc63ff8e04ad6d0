"""Several web processes on one port, by granian (extra `scale`): what an exchange on PostgreSQL runs behind its proxy.

The parent listens, starts the children and looks after them; each child opens the exchange for itself, from the settings that the
environment and the settings file give, so nothing secret is on a command line and no connection is shared over a fork. On SIGTERM a
child takes no more requests, answers those it has, and ends.
"""

from __future__ import annotations

from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from mapex.exchange import Exchange

SECONDS_TO_END = 20
"""How long a child may go on with what it is answering when it is asked to end."""


def serve(ex: Exchange, *, processes: int, threads: int) -> None:
    """Answer requests until SIGTERM or SIGINT; a child that dies is replaced, unless the new one dies at once too.

    Args:
        ex: the exchange, opened and found good; its connections are closed before the first child begins.
        processes: children.
        threads: requests that each of them answers at the same time.
    """
    import web  # once, before the fork: the children share the memory of the code  # noqa: F401

    server = Granian(
        "mapex",
        address=ex.settings.host,
        port=ex.settings.port,
        interface=Interfaces.WSGI,
        workers=processes,
        blocking_threads=threads,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=SECONDS_TO_END,
    )
    ex.engine.dispose()
    server.serve(target_loader=_application, wrap_loader=False)


def _application() -> Any:
    """The WSGI application of one child."""
    from mapex import config
    from mapex.atlas import lookup
    from mapex.cli.server.logs import log_to_stderr
    from mapex.database.opening import open_exchange
    from web import create_app

    settings = config.load()
    log_to_stderr(settings.log_level)
    ex = open_exchange(settings)
    lookup.read_ahead(ex)
    return create_app(ex)
