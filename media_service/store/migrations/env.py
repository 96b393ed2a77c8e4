"""Alembic's entry: runs the steps on the connection that `upgrade` was given."""

from __future__ import annotations

from alembic import context

from media_service.store.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite's DDL is transactional, which Alembic leaves off by default
    render_as_batch=True,  # SQLite cannot alter most things; batch mode rebuilds the table
)
with context.begin_transaction():
    context.run_migrations()
