"""Schema revisions (Alembic). `HEAD` is the newest; a test holds it, the scripts and `mapex.database.schema` together.

A new revision after a change of `mapex/database/schema.py`: `python -m mapex.database.migrations "what changed"`, then set `HEAD`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

HEAD = "0026"


def configuration(conn: Connection | None = None) -> Config:
    """Alembic's configuration for the packaged scripts, on an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "mapex.database:migrations")
    config.attributes["connection"] = conn
    return config
