"""Measurements of requests, one row per model and bucket of time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from camcount.storage.database import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table."""
    op.create_table(
        "measurements",
        sa.Column("process", sa.String(32), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("start", UtcDateTime, nullable=False),
        sa.Column("step_s", sa.Float, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("frames", sa.BigInteger, nullable=False),
        sa.Column("cached", sa.BigInteger, nullable=False),
        sa.Column("fallbacks", sa.BigInteger, nullable=False),
        sa.Column("batches", sa.Float, nullable=False),
        sa.Column("preprocess_s", sa.Float, nullable=False),
        sa.Column("inference_s", sa.Float, nullable=False),
        sa.Column("postprocess_s", sa.Float, nullable=False),
        sa.Column("latency_s", sa.Float, nullable=False),
        sa.Column("queue_s", sa.Float, nullable=False),
        sa.Column("cpu_s", sa.Float, nullable=False),
        sa.Column("core_s", sa.Float, nullable=False),
        sa.Column("memory_byte_s", sa.Float, nullable=False),
        sa.Column("observed_s", sa.Float, nullable=False),
        sa.Column("outcomes", sa.JSON, nullable=False),
        sa.Column("latencies", sa.LargeBinary, nullable=False),
        sa.Column("queues", sa.LargeBinary, nullable=False),
    )
    op.create_index("measurements_by_model", "measurements", ["model", "start"])
    op.create_index("measurements_by_step", "measurements", ["step_s", "start"])


def downgrade() -> None:
    """Drops the table."""
    op.drop_table("measurements")
