"""What happened to each asset, for people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision. Of older assets it is known when they were uploaded."""
    op.create_table(
        "history",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("asset_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("detail", sa.Text),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_history_asset_id_number", "history", ["asset_id", "number"])
    op.execute(
        "INSERT INTO history (asset_id, at, event, detail)"
        " SELECT id, created_at, 'uploaded', filename FROM assets ORDER BY created_at, id"
    )
