"""Points lie night by night instead of series by series."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision: str | None = "0012"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COPY = """
INSERT INTO points_by_night (
    night_number, series_number, value, text_number, gap_number, low, high, sentinel, round_count, environment_number,
    job_number
)
SELECT
    night_number, series_number, value, text_number, gap_number, low, high, sentinel, round_count, environment_number,
    job_number
FROM points ORDER BY night_number, series_number
"""


def upgrade() -> None:
    """Copy the points in the new order: SQLite cannot change a table's key in place."""
    op.create_table(
        "points_by_night",
        sa.Column("night_number", sa.Integer(), nullable=False),
        sa.Column("series_number", _NUMBER, nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("text_number", _NUMBER, nullable=True),
        sa.Column("gap_number", _NUMBER, nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("sentinel", sa.Double(), nullable=True),
        sa.Column("round_count", sa.Integer(), nullable=False),
        sa.Column("environment_number", _NUMBER, nullable=True),
        sa.Column("job_number", _NUMBER, nullable=True),
        sa.ForeignKeyConstraint(["series_number"], ["series.number"], name="fk_points_series_number"),
        sa.ForeignKeyConstraint(["text_number"], ["point_texts.number"], name="fk_points_text_number"),
        sa.ForeignKeyConstraint(["gap_number"], ["point_texts.number"], name="fk_points_gap_number"),
        sa.ForeignKeyConstraint(["environment_number"], ["environments.number"], name="fk_points_environment_number"),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name="fk_points_job_number"),
        sa.PrimaryKeyConstraint("night_number", "series_number", name="pk_points"),
        sqlite_with_rowid=False,
    )
    op.execute(_COPY)
    op.drop_table("points")
    op.rename_table("points_by_night", "points")
