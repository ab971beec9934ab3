"""The tables. Key fields are columns; what no query asks for stays in the serialized protobuf ``message``.

A change here needs a revision in ``migrations/versions``; a test compares the two. Times are
nanoseconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts only a column of the exact type INTEGER up by itself.
_Number = BigInteger().with_variant(Integer, "sqlite")

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("name", String, nullable=False, index=True),
    Column("message", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("device_id", String, nullable=False, unique=True),
    Column("name", String, nullable=False, index=True),
    Column("agent_version", String, nullable=False),
    Column("last_seen_ns", BigInteger, nullable=False),
    Column("message", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("job_id", String, nullable=False, unique=True),
    Column("request_id", String, nullable=False, unique=True),
    Column("kind", Integer, nullable=False),
    Column("state", Integer, nullable=False, index=True),
    Column("message", LargeBinary, nullable=False),
    Column("request", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    # Never used twice, so that a reader's cursor stays good.
    Column("cursor", _Number, primary_key=True),
    Column("job_id", String, ForeignKey("jobs.job_id"), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("state", Integer, nullable=False),
    Column("message", String, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Index(None, "job_id", "cursor"),
    sqlite_autoincrement=True,
)

rounds = Table(
    "rounds",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("job_id", String, ForeignKey("jobs.job_id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("pass_kind", Integer, nullable=False),
    Column("round_index", BigInteger, nullable=False),
    Column("segment", Integer, nullable=False),
    Column("result_digest", String(64), nullable=False),
    Column("recorded_at_ns", BigInteger, nullable=False),
    UniqueConstraint("job_id", "attempt", "pass_kind", "round_index"),
    sqlite_autoincrement=True,
)

# What a device answered to the inputs of a numeric check, or the controller itself (device_id and job_id ""): a blob
# each, or why there is none.
numeric_outputs = Table(
    "numeric_outputs",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("artifact_digest", String(64), nullable=False),
    Column("data_digest", String(64), nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("layers_digest", String(64), nullable=False),
    Column("device_id", String, nullable=False),
    Column("job_id", String, nullable=False),
    Column("label", String, nullable=False),
    Column("runtime", String, nullable=False),
    Column("outputs_digest", String(64), nullable=False),
    Column("reason", String, nullable=False),
    Column("recorded_at_ns", BigInteger, nullable=False),
    Index(None, "artifact_digest", "data_digest"),
    UniqueConstraint("artifact_digest", "data_digest", "batch_size", "layers_digest", "device_id", "job_id", "label"),
    sqlite_autoincrement=True,
)

# What external meters said beside a job's energy pass: a blob each.
traces = Table(
    "traces",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("job_id", String, ForeignKey("jobs.job_id"), nullable=False, index=True),
    Column("meter", String, nullable=False),
    Column("trace_digest", String(64), nullable=False),
    Column("recorded_at_ns", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# Jobs whose rounds and traces were removed to make room, and the blob of the measurement that was computed from them.
removed_samples = Table(
    "removed_samples",
    metadata,
    Column("job_id", String, ForeignKey("jobs.job_id"), primary_key=True),
    Column("measurement_digest", String(64), nullable=False),
    Column("removed_at_ns", BigInteger, nullable=False),
)

# What each session left behind: by these a later one knows how much the sessions of its device differ.
session_figures = Table(
    "session_figures",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("job_id", String, nullable=False),
    Column("device_id", String, nullable=False),
    Column("series", String(64), nullable=False),
    Column("figure", String, nullable=False),
    Column("value_ns", Double, nullable=False),
    Column("recorded_at_ns", BigInteger, nullable=False),
    Index(None, "device_id", "recorded_at_ns"),
    UniqueConstraint("job_id", "series", "figure"),
    sqlite_autoincrement=True,
)

# Steps of recipes that were run: what came out of the same input, settings, data, seed and tools. ``loose_key`` leaves
# the tools out, so that a step which gives other bytes today can say why.
finished_steps = Table(
    "finished_steps",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("loose_key", String(64), nullable=False, index=True),
    Column("output_digest", String(64), nullable=False),
    Column("tools", String, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("recorded_at_ns", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# What models scored on the controller; the key holds the model, what it is held against, the samples and the tools.
host_scores = Table(
    "host_scores",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("message", LargeBinary, nullable=False),
    Column("recorded_at_ns", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# Codes by which devices and people join: only the hash of the secret. ``user_name`` is "" for devices.
join_codes = Table(
    "join_codes",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("user_name", String, nullable=False),
    Column("tags", String, nullable=False),
    Column("use_count", Integer, nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("not_after_ns", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# Certificates of devices and people that this controller signed; removed when they can be renewed no more.
certificates = Table(
    "certificates",
    metadata,
    Column("number", _Number, primary_key=True),
    # Lower-case hexadecimal.
    Column("serial", String(40), nullable=False, unique=True),
    # "device" with a device id, or "user" with a name.
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    # SHA-256 of the public key and of the authority's certificate.
    Column("key_digest", String(64), nullable=False),
    Column("authority_digest", String(64), nullable=False),
    # The join code that it was given for; "" for a renewal.
    Column("secret_hash", String(64), nullable=False),
    Column("not_after_ns", BigInteger, nullable=False, index=True),
    Column("revoked_at_ns", BigInteger, nullable=True),
    # When it was last shown by its owner: who shows it has stored what came with it.
    Column("shown_at_ns", BigInteger, nullable=True),
    Index(None, "kind", "subject"),
    sqlite_autoincrement=True,
)

# People who may use the controller over a network.
users = Table(
    "users",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("role", Integer, nullable=False),
    Column("created_at_ns", BigInteger, nullable=False),
    # What a token may measure on, as a JSON list of "pi5", "tag:rack1", "pool:raspberry-pi-5"; null for a person.
    Column("scope", String, nullable=True),
    sqlite_autoincrement=True,
)

# Where a device stands: "enrolled", "suspended" or "removed"; "" while it only has tags.
device_standing = Table(
    "device_standing",
    metadata,
    Column("device_id", String, primary_key=True),
    Column("standing", String, nullable=False),
    # Separated by spaces, in rising order.
    Column("tags", String, nullable=False),
)

# What was decided about a device beside its standing: whether it takes work, by which switch it is cycled, who took its
# place, and how it fared.
device_rules = Table(
    "device_rules",
    metadata,
    Column("device_id", String, primary_key=True),
    # 1 while it takes nothing new.
    Column("draining", Integer, nullable=False),
    # Why its figures cannot be trusted, "" when they can, and since when.
    Column("quarantined_because", String, nullable=False),
    Column("quarantined_at_ns", BigInteger, nullable=False),
    # "" without a switch.
    Column("power_switch", String, nullable=False),
    Column("most_cycles_an_hour", Integer, nullable=False),
    # The device that took its place, "" while none did.
    Column("successor_id", String, nullable=False, index=True),
    Column("replaced_at_ns", BigInteger, nullable=False),
    # A serialized DeviceHealth, as of its last hello or goodbye.
    Column("health", LargeBinary, nullable=False),
)

# What happened to devices; of each the newest are kept.
device_events = Table(
    "device_events",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("device_id", String, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("message", String, nullable=False),
    Index(None, "device_id", "number"),
    sqlite_autoincrement=True,
)

# Workers that crashed, one row for each artifact and round: no longer there once the artifact ran well on that device.
block_crashes = Table(
    "block_crashes",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("device_id", String, nullable=False),
    Column("artifact_digest", String(64), nullable=False),
    Column("job_id", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("pass_kind", Integer, nullable=False),
    Column("round_index", BigInteger, nullable=False),
    UniqueConstraint("device_id", "artifact_digest", "job_id", "attempt", "pass_kind", "round_index"),
    sqlite_autoincrement=True,
)

# Artifacts that are not sent to a device any more.
artifact_quarantines = Table(
    "artifact_quarantines",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("device_id", String, nullable=False),
    Column("artifact_digest", String(64), nullable=False),
    Column("reason", String, nullable=False),
    Column("crash_count", Integer, nullable=False),
    Column("quarantined_at_ns", BigInteger, nullable=False),
    UniqueConstraint("device_id", "artifact_digest"),
    sqlite_autoincrement=True,
)

# The newest lease that a device granted a job: what comes with an older epoch is refused, also after a restart.
lease_epochs = Table(
    "lease_epochs",
    metadata,
    Column("job_id", String, ForeignKey("jobs.job_id"), primary_key=True),
    Column("device_id", String, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
)

# Experiments: which trainings and measurements belong together; the version counts changes.
experiments = Table(
    "experiments",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("model_digest", String(64), nullable=False),
    Column("task_id", String, nullable=False),
    Column("json", String, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at_ns", BigInteger, nullable=False),
    Column("changed_at_ns", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
