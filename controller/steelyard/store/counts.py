"""How much the database holds, by cheap questions: asked at every scrape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from steelyard.store import schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows that are there; none of them is ever deleted."""

    # By (kind, state), the numbers of ``control.proto``.
    jobs: Mapping[tuple[int, int], int]
    rounds: int
    artifacts: int
    devices: int


def count(connection: Connection) -> Counts:
    """Count jobs by kind and state, and what else there is."""
    jobs = schema.jobs
    grouped = connection.execute(select(jobs.c.kind, jobs.c.state, func.count()).group_by(jobs.c.kind, jobs.c.state))
    # Numbers are given once and rows stay, so the highest number is the count, without a look at every row.
    rounds, artifacts, devices = (
        connection.scalar(select(func.max(table.c.number))) or 0
        for table in (schema.rounds, schema.artifacts, schema.devices)
    )
    return Counts(
        jobs={(kind, state): number for kind, state, number in grouped},
        rounds=rounds,
        artifacts=artifacts,
        devices=devices,
    )
