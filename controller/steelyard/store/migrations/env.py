"""What Alembic runs to migrate; ``steelyard.store.migrate`` passes the open connection in."""

from __future__ import annotations

from alembic import context

from steelyard.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters a table only by copying it.
    render_as_batch=True,
    # Our connection begins its transactions itself, so SQLite rolls a failed migration back as a whole.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
