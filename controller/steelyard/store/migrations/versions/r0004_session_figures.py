"""Figures that sessions left behind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table of figures."""
    op.create_table(
        "session_figures",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("series", sa.String(64), nullable=False),
        sa.Column("figure", sa.String(), nullable=False),
        sa.Column("value_ns", sa.Double(), nullable=False),
        sa.Column("recorded_at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_session_figures"),
        sa.UniqueConstraint("job_id", "series", "figure", name="uq_session_figures_job_id_series_figure"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_session_figures_device_id_recorded_at_ns", "session_figures", ["device_id", "recorded_at_ns"])
