"""How far each delivery of events has come, one row per delivery."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from camcount.storage.database import UtcDateTime

revision = "0010"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table."""
    op.create_table(
        "deliveries",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("state", sa.JSON, nullable=True),
        sa.Column("gone", sa.Text, nullable=False),
        sa.Column("updated", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Drops the table."""
    op.drop_table("deliveries")
