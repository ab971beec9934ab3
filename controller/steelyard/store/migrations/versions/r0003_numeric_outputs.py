"""Outputs of numeric checks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = ("artifact_digest", "data_digest", "batch_size", "layers_digest", "device_id", "job_id", "label")


def upgrade() -> None:
    """Make the table of outputs."""
    op.create_table(
        "numeric_outputs",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("artifact_digest", sa.String(64), nullable=False),
        sa.Column("data_digest", sa.String(64), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("layers_digest", sa.String(64), nullable=False),
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("runtime", sa.String(), nullable=False),
        sa.Column("outputs_digest", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("recorded_at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_numeric_outputs"),
        sa.UniqueConstraint(*_KEY, name=f"uq_numeric_outputs_{'_'.join(_KEY)}"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_numeric_outputs_artifact_digest_data_digest", "numeric_outputs", list(_KEY[:2]))
