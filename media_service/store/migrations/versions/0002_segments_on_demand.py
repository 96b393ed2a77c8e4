"""Renditions are outlined before they are made, their segments made one by one; failures are counted.

What the first version made is cut otherwise than outlines say: it is made again, from originals that stay as they are.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.drop_table("segments")
    op.drop_table("renditions")
    op.execute(
        "UPDATE assets SET state = 'probing', seekability = NULL, attempts = 0, version = version + 1 "
        "WHERE state IN ('playable', 'ready')"
    )
    _forget_subtitles()
    op.create_table(
        "renditions",
        sa.Column("asset_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("packaged", sa.Boolean, nullable=False),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("frame_rate", sa.Float(53)),
        sa.Column("channels", sa.Integer),
        sa.Column("language", sa.Text),
        sa.Column("label", sa.Text),
        sa.Column("codecs", sa.Text, nullable=False),
        sa.Column("bandwidth", sa.BigInteger, nullable=False),
        sa.Column("average_bandwidth", sa.BigInteger, nullable=False),
        sa.Column("segments", sa.Integer, nullable=False),
        sa.Column("made_segments", sa.Integer, nullable=False),
        sa.Column("init", sa.LargeBinary),
        sa.Column("layout", sa.LargeBinary),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
    )
    op.create_table(
        "segments",
        sa.Column("asset_id", sa.Text, primary_key=True),
        sa.Column("rendition", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("blob", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("payload_start", sa.BigInteger, nullable=False),
        sa.Column("iframe_size", sa.BigInteger, nullable=False),
        sa.Column("begin_ticks", sa.BigInteger, nullable=False),
        sa.Column("samples", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id", "rendition"], ["renditions.asset_id", "renditions.name"], ondelete="CASCADE"
        ),
    )
    op.create_table(
        "failures",
        sa.Column("asset_id", sa.Text, primary_key=True),
        sa.Column("rendition", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id", "rendition"], ["renditions.asset_id", "renditions.name"], ondelete="CASCADE"
        ),
    )


def _forget_subtitles() -> None:
    """Facts named the codecs of subtitles, not their tracks: of such films only picture and sound are known."""
    connection = op.get_bind()
    assets = sa.table("assets", sa.column("id", sa.Text), sa.column("facts", sa.LargeBinary))
    for asset_id, facts in connection.execute(sa.select(assets).where(assets.c.facts.is_not(None))).all():
        known = json.loads(facts)
        if known.get("subtitles"):
            changed = json.dumps(known | {"subtitles": []}).encode()
            connection.execute(assets.update().where(assets.c.id == asset_id).values(facts=changed))
