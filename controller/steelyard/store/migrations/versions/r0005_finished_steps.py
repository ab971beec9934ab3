"""Steps of recipes that were run, and what models scored on the controller."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "finished_steps",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("loose_key", sa.String(64), nullable=False),
        sa.Column("output_digest", sa.String(64), nullable=False),
        sa.Column("tools", sa.String(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_finished_steps"),
        sa.UniqueConstraint("key", name="uq_finished_steps_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_finished_steps_loose_key", "finished_steps", ["loose_key"])
    op.create_table(
        "host_scores",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_host_scores"),
        sa.UniqueConstraint("key", name="uq_host_scores_key"),
        sqlite_autoincrement=True,
    )
