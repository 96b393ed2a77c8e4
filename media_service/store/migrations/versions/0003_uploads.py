"""Resumable uploads; keys that clients make assets with once only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.add_column("assets", sa.Column("owner", sa.Text))
    op.add_column("assets", sa.Column("idempotency_key", sa.Text))
    op.create_index("ix_assets_sha256_size", "assets", ["sha256", "size"])
    op.create_index("ix_assets_owner_idempotency_key", "assets", ["owner", "idempotency_key"], unique=True)
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("dialect", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("concat", sa.Text, nullable=False),
        sa.Column("concat_header", sa.Text, nullable=False),
        sa.Column("length", sa.BigInteger),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("repr_digests", sa.LargeBinary, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("asset_id", sa.Text),
        sa.Column("sha256", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error_detail", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("held_until", sa.BigInteger, nullable=False),
        sa.Column("wanted", sa.Boolean, nullable=False),
    )
    op.create_index("ix_uploads_owner_idempotency_key", "uploads", ["owner", "idempotency_key"], unique=True)
    op.create_index("ix_uploads_state_owner", "uploads", ["state", "owner"])
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
