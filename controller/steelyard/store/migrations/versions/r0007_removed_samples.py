"""Jobs whose raw samples were removed, with what was computed from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "removed_samples",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("measurement_digest", sa.String(64), nullable=False),
        sa.Column("removed_at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_removed_samples_job_id"),
        sa.PrimaryKeyConstraint("job_id", name="pk_removed_samples"),
    )
