"""Nights of suites: their points, series, notes, alerts and silences."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision: str | None = "0009"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _nights()
    _series()
    _points()
    _alerts()


def _nights() -> None:
    op.create_table(
        "night_suites",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_night_suites"),
    )
    op.create_table(
        "nights",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("night_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("suite_name", sa.String(), nullable=False),
        sa.Column("night_number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("suite_digest", sa.String(64), nullable=False),
        sa.Column("started_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("begun_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("closed_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=False),
        sa.Column("report_digest", sa.String(64), nullable=False),
        sa.Column("runner", sa.String(), nullable=False),
        sa.Column("held_until_ns", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["suite_digest"], ["night_suites.digest"], name="fk_nights_suite_digest"),
        sa.PrimaryKeyConstraint("number", name="pk_nights"),
        sa.UniqueConstraint("night_id", name="uq_nights_night_id"),
        sa.UniqueConstraint("request_id", name="uq_nights_request_id"),
        sa.UniqueConstraint("suite_name", "night_number", name="uq_nights_suite_name_night_number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_nights_suite_name_state_night_number", "nights", ["suite_name", "state", "night_number"])
    op.create_table(
        "night_items",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("night", _NUMBER, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("json", sa.String(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["night"], ["nights.number"], name="fk_night_items_night"),
        sa.PrimaryKeyConstraint("number", name="pk_night_items"),
        sa.UniqueConstraint("night", "kind", "key", name="uq_night_items_night_kind_key"),
        sqlite_autoincrement=True,
    )


def _series() -> None:
    op.create_table(
        "series",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("suite_name", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("runtime", sa.String(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("first_night", sa.Integer(), nullable=False),
        sa.Column("last_night", sa.Integer(), nullable=False),
        sa.Column("accepted_night", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_series"),
        sa.UniqueConstraint(
            "suite_name",
            "model",
            "device_id",
            "runtime",
            "metric",
            "unit",
            name="uq_series_suite_name_model_device_id_runtime_metric_unit",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_series_device_id", "series", ["device_id"])
    op.create_index("ix_series_suite_name_number", "series", ["suite_name", "number"])
    op.create_table(
        "series_marks",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("series_number", _NUMBER, nullable=False),
        sa.Column("night_number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["series_number"], ["series.number"], name="fk_series_marks_series_number"),
        sa.PrimaryKeyConstraint("number", name="pk_series_marks"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_series_marks_series_number", "series_marks", ["series_number"])


def _points() -> None:
    op.create_table(
        "environments",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("json", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_environments"),
        sa.UniqueConstraint("digest", name="uq_environments_digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "point_texts",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_point_texts"),
        sa.UniqueConstraint("text", name="uq_point_texts_text"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "points",
        sa.Column("series_number", _NUMBER, nullable=False),
        sa.Column("night_number", sa.Integer(), nullable=False),
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
        sa.PrimaryKeyConstraint("series_number", "night_number", name="pk_points"),
        sqlite_with_rowid=False,
    )


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("alert_id", sa.String(), nullable=False),
        sa.Column("suite_name", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("runtime", sa.String(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("is_open", sa.Integer(), nullable=False),
        sa.Column("first_night", sa.Integer(), nullable=False),
        sa.Column("last_night", sa.Integer(), nullable=False),
        sa.Column("json", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_alerts"),
        sa.UniqueConstraint("alert_id", name="uq_alerts_alert_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alerts_is_open_number", "alerts", ["is_open", "number"])
    op.create_index("ix_alerts_suite_name_number", "alerts", ["suite_name", "number"])
    op.create_table(
        "silences",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("silence_id", sa.String(), nullable=False),
        sa.Column("expires_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("json", sa.String(), nullable=False),
        sa.Column("created_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("ended_at_ns", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=False),
        sa.Column("ended_because", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_silences"),
        sa.UniqueConstraint("silence_id", name="uq_silences_silence_id"),
        sqlite_autoincrement=True,
    )
