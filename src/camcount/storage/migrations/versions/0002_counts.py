"""Events, intervals, occupancy and checkpoints of cameras, and what of them went to the archive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from camcount.storage.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the tables."""
    _events()
    _intervals()
    op.create_table(
        "occupancy",
        sa.Column("camera_id", sa.Text, primary_key=True),
        sa.Column("zone", sa.Text, primary_key=True),
        sa.Column("inside", sa.BigInteger, nullable=False),
        sa.Column("stored", UtcDateTime, nullable=False),
    )
    op.create_table(
        "checkpoints",
        sa.Column("camera_id", sa.Text, primary_key=True),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("stored", UtcDateTime, nullable=False),
    )
    _archive()


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.Text, nullable=False, unique=True),
        sa.Column("stored", UtcDateTime, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("camera_id", sa.Text, nullable=False),
        sa.Column("line", sa.Text),
        sa.Column("direction", sa.Text),
        sa.Column("zone", sa.Text),
        sa.Column("origin", sa.Text),
        sa.Column("destination", sa.Text),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("track_id", sa.BigInteger, nullable=False),
        sa.Column("time_s", sa.Float, nullable=False),
        sa.Column("time", UtcDateTime),
        sa.Column("dwell_s", sa.Float),
        sa.Column("travel_s", sa.Float),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("x", sa.Float, nullable=False),
        sa.Column("y", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("events_by_camera", "events", ["camera_id", "number"])
    op.create_index("events_by_time", "events", ["at"])
    op.create_table(
        "crossings_by_hour",
        sa.Column("camera_id", sa.Text, primary_key=True),
        sa.Column("line", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, primary_key=True),
        sa.Column("direction", sa.Text, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _intervals() -> None:
    op.create_table(
        "intervals",
        sa.Column("step_s", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("camera_id", sa.Text, primary_key=True),
        sa.Column("line", sa.Text, primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("known_s", sa.BigInteger, nullable=False),
        sa.Column("seen_s", sa.Float, nullable=False),
        sa.Column("count_in", sa.BigInteger, nullable=False),
        sa.Column("count_out", sa.BigInteger, nullable=False),
        sa.Column("by_label", sa.JSON(none_as_null=True)),
        sa.Column("bounds", sa.JSON(none_as_null=True)),
        sa.Column("evidence", sa.JSON(none_as_null=True)),
        sa.Column("missed_s", sa.Float, nullable=False),
        sa.Column("rate_in", sa.BigInteger, nullable=False),
        sa.Column("rate_out", sa.BigInteger, nullable=False),
        sa.Column("rate_s", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )


def _archive() -> None:
    op.create_table(
        "archives",
        sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False, unique=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
    )
    op.create_table(
        "archived_events",
        sa.Column("event_id", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drops the tables."""
    for name in (
        "archived_events",
        "archives",
        "checkpoints",
        "occupancy",
        "intervals",
        "crossings_by_hour",
        "events",
    ):
        op.drop_table(name)
