"""Rules of devices, what happened to them, crashed workers and quarantined artifacts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "device_rules",
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("draining", sa.Integer(), nullable=False),
        sa.Column("quarantined_because", sa.String(), nullable=False),
        sa.Column("quarantined_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("power_switch", sa.String(), nullable=False),
        sa.Column("most_cycles_an_hour", sa.Integer(), nullable=False),
        sa.Column("successor_id", sa.String(), nullable=False),
        sa.Column("replaced_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("health", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", name="pk_device_rules"),
    )
    op.create_index("ix_device_rules_successor_id", "device_rules", ["successor_id"])
    op.create_table(
        "device_events",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_device_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_device_events_device_id_number", "device_events", ["device_id", "number"])
    op.create_table(
        "block_crashes",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("artifact_digest", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("pass_kind", sa.Integer(), nullable=False),
        sa.Column("round_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_block_crashes"),
        sa.UniqueConstraint(
            "device_id",
            "artifact_digest",
            "job_id",
            "attempt",
            "pass_kind",
            "round_index",
            name="uq_block_crashes_device_id_artifact_digest_job_id_attempt_pass_kind_round_index",
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "artifact_quarantines",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("artifact_digest", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("crash_count", sa.Integer(), nullable=False),
        sa.Column("quarantined_at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_artifact_quarantines"),
        sa.UniqueConstraint("device_id", "artifact_digest", name="uq_artifact_quarantines_device_id_artifact_digest"),
        sqlite_autoincrement=True,
    )
