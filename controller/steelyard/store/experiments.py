"""Experiments, as those who run them make them; each method is one transaction. Reached as ``Store.experiments``."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, RowMapping, insert, select, update

from steelyard.errors import NotFoundError, UsageError
from steelyard.store.database import Database
from steelyard.store.kept_values import require_json, require_text
from steelyard.store.names import near_names, require_digest, require_identifier
from steelyard.store.paging import fetch_page
from steelyard.store.schema import experiments
from steelyard_protocol.v1 import experiment_pb2

_MAX_TASK_CHARACTERS = 200


class Experiments:
    """Synchronous, for the store's thread."""

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self._database = database
        self._clock_ns = clock_ns

    def put(self, experiment: experiment_pb2.Experiment) -> experiment_pb2.Experiment:
        """Keep a new experiment (version 0), or a change of the version that it names; the same again is no change.

        Raises:
            UsageError: ``experiment_changed``, ``another_experiment``, or what is wrong with a text.
        """
        require_identifier(experiment.name, "name of an experiment")
        require_digest(experiment.model_digest, "model of an experiment")
        require_text(experiment.task_id, "task of an experiment", most=_MAX_TASK_CHARACTERS)
        require_json(experiment.json, "an experiment")
        names = ("name", "model_digest", "task_id", "json")
        values = {name: getattr(experiment, name) for name in names}
        now = self._clock_ns()
        with self._database.write() as connection:
            row = _row(connection, experiment.name)
            if row is None and experiment.version == 0:
                fresh = {"version": 1, "created_at_ns": now, "changed_at_ns": now}
                connection.execute(insert(experiments).values(**values, **fresh))
            elif row is None or not all(row[name] == values[name] for name in names):
                _require_change(row, experiment)
                changed = {"json": experiment.json, "version": experiment.version + 1, "changed_at_ns": now}
                connection.execute(update(experiments).where(experiments.c.name == experiment.name).values(**changed))
            return _message(_found(connection, experiment.name))

    def get(self, name: str) -> experiment_pb2.Experiment:
        """Return an experiment.

        Raises:
            NotFoundError: ``experiment_not_found``, with the nearest names.
        """
        with self._database.read() as connection:
            return _message(_found(connection, name))

    def page(self, page_size: int = 0, page_token: str = "") -> tuple[list[experiment_pb2.Experiment], str]:
        """List experiments, the newest first, with the token of the next page ("" after the last).

        Raises:
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        with self._database.read() as connection:
            rows, token = fetch_page(
                connection,
                select(experiments),
                experiments.c.number,
                page_size=page_size,
                page_token=page_token,
                newest_first=True,
            )
        return [_message(row) for row in rows], token


def _require_change(row: RowMapping | None, experiment: experiment_pb2.Experiment) -> None:
    if row is not None and (row["model_digest"], row["task_id"]) != (experiment.model_digest, experiment.task_id):
        raise UsageError(
            "another_experiment",
            f"experiment {experiment.name!r} is of model {row['model_digest'][:12]} with another task or another model "
            "than this; choose another name",
        )
    if row is None or row["version"] != experiment.version:
        raise UsageError(
            "experiment_changed",
            f"experiment {experiment.name!r} was changed by another command in the meantime; run this again",
        )


def _row(connection: Connection, name: str) -> RowMapping | None:
    return connection.execute(select(experiments).where(experiments.c.name == name)).mappings().first()


def _found(connection: Connection, name: str) -> RowMapping:
    row = _row(connection, name)
    if row is None:
        near = near_names(name, connection.scalars(select(experiments.c.name)))
        raise NotFoundError(
            "experiment_not_found",
            f"no experiment is called {name[:80]!r}{near}; see `steelyard experiment list`",
        )
    return row


def _message(row: RowMapping) -> experiment_pb2.Experiment:
    names = ("name", "model_digest", "task_id", "json", "version")
    experiment = experiment_pb2.Experiment(**{name: row[name] for name in names})
    experiment.created_at.FromNanoseconds(row["created_at_ns"])
    experiment.changed_at.FromNanoseconds(row["changed_at_ns"])
    return experiment
