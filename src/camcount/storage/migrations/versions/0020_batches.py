"""Runs of batches, and when they are to run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from camcount.storage.database import UtcDateTime

revision = "0020"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the tables."""
    op.create_table(
        "batch_runs",
        sa.Column("run_id", sa.String(32), primary_key=True),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("wanted", sa.String(16), nullable=False),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("process", sa.BigInteger, nullable=False),
        sa.Column("started", UtcDateTime, nullable=False),
        sa.Column("updated", UtcDateTime, nullable=False),
    )
    op.create_table(
        "batch_schedules",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("cron", sa.Text, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("next_run", UtcDateTime, nullable=False),
        sa.Column("last_run", UtcDateTime),
        sa.Column("running", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drops the tables."""
    op.drop_table("batch_schedules")
    op.drop_table("batch_runs")
