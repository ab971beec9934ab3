"""Join codes, certificates, users, and where devices stand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "join_codes",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("user_name", sa.String(), nullable=False),
        sa.Column("tags", sa.String(), nullable=False),
        sa.Column("use_count", sa.Integer(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("not_after_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_join_codes"),
        sa.UniqueConstraint("secret_hash", name="uq_join_codes_secret_hash"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "certificates",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("key_digest", sa.String(64), nullable=False),
        sa.Column("authority_digest", sa.String(64), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("not_after_ns", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_ns", sa.BigInteger(), nullable=True),
        sa.Column("shown_at_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_certificates"),
        sa.UniqueConstraint("serial", name="uq_certificates_serial"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_certificates_not_after_ns", "certificates", ["not_after_ns"])
    op.create_index("ix_certificates_kind_subject", "certificates", ["kind", "subject"])
    op.create_table(
        "users",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.Column("created_at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "device_standing",
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("tags", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", name="pk_device_standing"),
    )
