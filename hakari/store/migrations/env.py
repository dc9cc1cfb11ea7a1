"""Runs the migrations on the connection that `SqlLedger.migrate` gives; Alembic loads this file by its name."""

from __future__ import annotations

from alembic import context

from hakari.store.ledger_tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
