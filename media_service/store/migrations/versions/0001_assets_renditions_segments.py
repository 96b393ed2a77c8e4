"""Assets, their renditions, and the segments of those."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "assets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("extension", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error_detail", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("facts", sa.LargeBinary),
        sa.Column("duration_seconds", sa.Float(53)),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("codecs", sa.Text),
        sa.Column("original_layout", sa.LargeBinary),
        sa.Column("seekability", sa.LargeBinary),
        sa.Column("has_poster", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
    op.create_table(
        "renditions",
        sa.Column("asset_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("codecs", sa.Text),
        sa.Column("init", sa.LargeBinary),
        sa.Column("timescale", sa.BigInteger),
        sa.Column("blob", sa.Text),
        sa.Column("bandwidth", sa.BigInteger),
        sa.Column("average_bandwidth", sa.BigInteger),
        sa.Column("encoded_seconds", sa.Float(53), nullable=False),
        sa.Column("layout", sa.LargeBinary),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
    )
    op.create_table(
        "segments",
        sa.Column("asset_id", sa.Text, primary_key=True),
        sa.Column("rendition", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("blob", sa.Text, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("stop", sa.BigInteger, nullable=False),
        sa.Column("payload_start", sa.BigInteger, nullable=False),
        sa.Column("begin_ticks", sa.BigInteger, nullable=False),
        sa.Column("duration_ticks", sa.BigInteger, nullable=False),
        sa.Column("samples", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id", "rendition"], ["renditions.asset_id", "renditions.name"], ondelete="CASCADE"
        ),
    )
    op.create_index("ix_assets_created_at_id", "assets", ["created_at", "id"])
    op.create_index("ix_assets_state_created_at_id", "assets", ["state", "created_at", "id"])
