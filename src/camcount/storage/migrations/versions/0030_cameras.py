"""Cameras that were made or changed over the interface."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from camcount.storage.database import UtcDateTime

revision = "0030"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table."""
    op.create_table(
        "cameras",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("definition", sa.JSON),
        sa.Column("changed", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Drops the table."""
    op.drop_table("cameras")
