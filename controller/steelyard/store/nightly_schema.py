"""The tables of nights: what suites measured night after night, and what was found. See ``schema``.

Points are millions and every other table is small, so points hold numbers only: texts, environments and jobs stand in
tables of their own, once each. ``gc``, which reads every text of the database, need not look at them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from steelyard.store.schema import jobs, metadata

_Number = jobs.c.number.type

# The effective suite that a night ran, once for all its nights.
night_suites = Table(
    "night_suites",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("text", String, nullable=False),
)

nights = Table(
    "nights",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("night_id", String, nullable=False, unique=True),
    Column("request_id", String, nullable=False, unique=True),
    Column("suite_name", String, nullable=False),
    # Counted on for each suite: a clock that goes back changes nothing.
    Column("night_number", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("suite_digest", String(64), ForeignKey("night_suites.digest"), nullable=False),
    # By the clock of whoever runs it, and by the controller's; 0 while it is not over.
    Column("started_at_ns", BigInteger, nullable=False),
    Column("ended_at_ns", BigInteger, nullable=False),
    Column("begun_at_ns", BigInteger, nullable=False),
    Column("closed_at_ns", BigInteger, nullable=False),
    Column("verdict", String, nullable=False),
    Column("exit_code", Integer, nullable=False),
    Column("report_digest", String(64), nullable=False),
    Column("runner", String, nullable=False),
    Column("held_until_ns", BigInteger, nullable=False),
    Column("reason", String, nullable=False),
    UniqueConstraint("suite_name", "night_number"),
    Index(None, "suite_name", "state", "night_number"),
    sqlite_autoincrement=True,
)

# Notes by which an interrupted night goes on; removed long after.
night_items = Table(
    "night_items",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("night", _Number, ForeignKey("nights.number"), nullable=False),
    Column("kind", String, nullable=False),
    Column("key", String, nullable=False),
    Column("json", String, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    UniqueConstraint("night", "kind", "key"),
    sqlite_autoincrement=True,
)

series = Table(
    "series",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("suite_name", String, nullable=False),
    Column("model", String, nullable=False),
    Column("device_id", String, nullable=False, index=True),
    Column("runtime", String, nullable=False),
    Column("metric", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("first_night", Integer, nullable=False),
    Column("last_night", Integer, nullable=False),
    # 0 where no change was ever accepted.
    Column("accepted_night", Integer, nullable=False),
    UniqueConstraint("suite_name", "model", "device_id", "runtime", "metric", "unit"),
    Index(None, "suite_name", "number"),
    sqlite_autoincrement=True,
)

# What was done to a series: a change was accepted, its device was replaced.
series_marks = Table(
    "series_marks",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("series_number", _Number, ForeignKey("series.number"), nullable=False, index=True),
    Column("night_number", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("message", String, nullable=False),
    Column("who", String, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# Flat and in canonical JSON, by the hash of that.
environments = Table(
    "environments",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("json", String, nullable=False),
    sqlite_autoincrement=True,
)

# Reasons of gaps, and values that are texts.
point_texts = Table(
    "point_texts",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("text", String, nullable=False, unique=True),
    sqlite_autoincrement=True,
)

# Clustered by series, because they are read so: the last nights of one series are a page or two of the file, however
# many nights and series there are. SQLite needs no second copy of the key then (sqlite.org/withoutrowid.html).
points = Table(
    "points",
    metadata,
    Column("series_number", _Number, ForeignKey("series.number"), primary_key=True),
    Column("night_number", Integer, primary_key=True),
    # A point has a value or a text, or is a gap.
    Column("value", Double, nullable=True),
    Column("text_number", _Number, ForeignKey("point_texts.number"), nullable=True),
    Column("gap_number", _Number, ForeignKey("point_texts.number"), nullable=True),
    Column("low", Double, nullable=True),
    Column("high", Double, nullable=True),
    Column("sentinel", Double, nullable=True),
    Column("round_count", Integer, nullable=False),
    Column("environment_number", _Number, ForeignKey("environments.number"), nullable=True),
    Column("job_number", _Number, ForeignKey("jobs.number"), nullable=True),
    sqlite_with_rowid=False,
)

# The version counts changes; a change made from an older one is refused.
alerts = Table(
    "alerts",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("alert_id", String, nullable=False, unique=True),
    Column("suite_name", String, nullable=False),
    Column("model", String, nullable=False),
    Column("device_id", String, nullable=False),
    Column("runtime", String, nullable=False),
    Column("metric", String, nullable=False),
    Column("state", String, nullable=False),
    Column("is_open", Integer, nullable=False),
    Column("first_night", Integer, nullable=False),
    Column("last_night", Integer, nullable=False),
    Column("json", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("changed_at_ns", BigInteger, nullable=False),
    Column("changed_by", String, nullable=False),
    Index(None, "is_open", "number"),
    Index(None, "suite_name", "number"),
    sqlite_autoincrement=True,
)

silences = Table(
    "silences",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("silence_id", String, nullable=False, unique=True),
    Column("expires_at_ns", BigInteger, nullable=False),
    Column("json", String, nullable=False),
    Column("created_at_ns", BigInteger, nullable=False),
    Column("created_by", String, nullable=False),
    # NULL while nobody ended it.
    Column("ended_at_ns", BigInteger, nullable=True),
    Column("ended_by", String, nullable=False),
    Column("ended_because", String, nullable=False),
    Column("version", Integer, nullable=False),
    sqlite_autoincrement=True,
)
