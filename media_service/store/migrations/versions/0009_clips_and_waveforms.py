"""Which clips and waveforms assets have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    for name in ("clip", "animation", "waveform"):
        op.add_column("assets", sa.Column(name, sa.Text))
    attempts = sa.Column("clip_attempts", sa.Integer, nullable=False, server_default=sa.text("0"))
    op.add_column("assets", attempts)
