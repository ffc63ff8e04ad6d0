"""Write the next revision: the difference between the newest migrated schema and `mapex.database.schema`.

Usage: python -m mapex.database.migrations "what changed"
"""

from __future__ import annotations

import sys

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from mapex.database.migrations import configuration


def main() -> None:
    """Autogenerate one revision against an SQLite database in memory at the present head."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with create_engine("sqlite://").connect() as conn:
        config = configuration(conn)
        present = ScriptDirectory.from_config(config).get_current_head()
        if present:
            command.upgrade(config, "head")
        number = f"{int(present or '0') + 1:04d}"
        command.revision(config, message=sys.argv[1], autogenerate=True, rev_id=number)
    print(f"now set HEAD = {number!r} in mapex/database/migrations/__init__.py and read the script")


if __name__ == "__main__":
    main()
