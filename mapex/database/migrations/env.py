"""Alembic's entry: always on the connection (and in the transaction) that the caller gives."""

from alembic import context

from mapex.database.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, compare_type=True, compare_server_default=False, render_as_batch=False)
with context.begin_transaction():
    context.run_migrations()
