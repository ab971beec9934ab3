"""Traces of external meters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table of traces."""
    op.create_table(
        "traces",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("meter", sa.String(), nullable=False),
        sa.Column("trace_digest", sa.String(64), nullable=False),
        sa.Column("recorded_at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_traces"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_traces_job_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_traces_job_id", "traces", ["job_id"])
