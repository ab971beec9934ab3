"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "meta",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )
    _create_registries()
    _create_jobs()


def _create_registries() -> None:
    op.create_table(
        "artifacts",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_artifacts"),
        sa.UniqueConstraint("digest", name="uq_artifacts_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_artifacts_name", "artifacts", ["name"])
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name="pk_tasks"),
    )
    op.create_table(
        "devices",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("agent_version", sa.String(), nullable=False),
        sa.Column("last_seen_ns", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_devices"),
        sa.UniqueConstraint("device_id", name="uq_devices_device_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_devices_name", "devices", ["name"])


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.UniqueConstraint("job_id", name="uq_jobs_job_id"),
        sa.UniqueConstraint("request_id", name="uq_jobs_request_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_state", "jobs", ["state"])
    op.create_table(
        "events",
        sa.Column("cursor", _NUMBER, nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cursor", name="pk_events"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_events_job_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_job_id_cursor", "events", ["job_id", "cursor"])
    op.create_table(
        "rounds",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("pass_kind", sa.Integer(), nullable=False),
        sa.Column("round_index", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("result_digest", sa.String(64), nullable=False),
        sa.Column("recorded_at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_rounds"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_rounds_job_id"),
        sa.UniqueConstraint(
            "job_id", "attempt", "pass_kind", "round_index", name="uq_rounds_job_id_attempt_pass_kind_round_index"
        ),
        sqlite_autoincrement=True,
    )
