"""Which server delivers, of several on one database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns."""
    op.add_column("deliveries", sa.Column("owner", sa.Text, nullable=False, server_default=""))
    op.add_column("deliveries", sa.Column("beats", sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drops the columns."""
    op.drop_column("deliveries", "beats")
    op.drop_column("deliveries", "owner")
