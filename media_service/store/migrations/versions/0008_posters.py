"""Posters that change: which time was asked for, which bytes it is now, and its tiny blurred likeness."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.add_column("assets", sa.Column("poster_time", sa.Float(53)))
    op.add_column("assets", sa.Column("poster_version", sa.Text))
    op.add_column("assets", sa.Column("placeholder", sa.LargeBinary))
