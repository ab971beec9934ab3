"""Find a metric by its kind, ours or a plugin's; its module is imported when it is asked for."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from steelyard.spelling import first_unknown, meant
from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import KnowsWhenUndefined, Metric
from steelyard.tasks.metrics.reduced import Reduced, reduced

_HERE = "steelyard.tasks.metrics"
_REDUCER = "reducer"
_METRICS = {
    "top1": f"{_HERE}.accuracy:Top1",
    "top5": f"{_HERE}.accuracy:Top5",
    "topk": f"{_HERE}.accuracy:TopK",
    "auc": f"{_HERE}.auc:Auc",
    "f1": f"{_HERE}.f1:F1",
    "edit-distance": f"{_HERE}.edit_distance:EditDistance",
    "mae": f"{_HERE}.regression:MeanAbsoluteError",
    "rmse": f"{_HERE}.regression:RootMeanSquareError",
    "r2": f"{_HERE}.regression:R2",
    "miou": f"{_HERE}.segmentation:MeanIou",
    "map": f"{_HERE}.mean_average_precision:MeanAveragePrecision",
    "cosine": f"{_HERE}.parent_outputs:Cosine",
    "sqnr": f"{_HERE}.parent_outputs:Sqnr",
}


def metric_kinds() -> tuple[str, ...]:
    """Return the kinds of all metrics that come with Steelyard."""
    return tuple(_METRICS)


def all_metric_kinds() -> tuple[str, ...]:
    """Return the kinds of all known metrics, those of plugins last."""
    from steelyard.plugins.lookup import kinds
    from steelyard.plugins.roles import METRICS

    return (*_METRICS, *(kind for kind in kinds(METRICS) if kind not in _METRICS))


def metric_class(kind: str) -> type[Metric]:
    """Return the class of a metric.

    Raises:
        TaskError: unknown_metric, with the nearest known kind.
        PluginError: it is a plugin's, which cannot be used.
    """
    if kind in _METRICS:
        module, _, name = _METRICS[kind].partition(":")
        found: Any = getattr(importlib.import_module(module), name)
        return found  # type: ignore[no-any-return]
    from steelyard.plugins.lookup import find
    from steelyard.plugins.roles import METRICS

    plugin = find(METRICS, kind)
    if plugin is None:
        raise TaskError(
            "unknown_metric",
            f"there is no metric of kind {kind!r}; {meant(kind, all_metric_kinds())}; a plugin's file is named with "
            "--plugin, also where the controller is started",
        )
    return plugin.made  # type: ignore[no-any-return]


def metric_plugins(found: Metric) -> tuple[str, ...]:
    """Return "NAME VERSION SHA256" of the plugins that a metric and its reducer come from.

    Raises:
        PluginError: a plugin cannot be used.
    """
    if found.kind in _METRICS and not isinstance(found, Reduced):
        return ()
    from steelyard.plugins.lookup import origin_text
    from steelyard.plugins.roles import METRICS, REDUCERS

    told = [origin_text(METRICS, found.kind)]
    if isinstance(found, Reduced):
        told.append(origin_text(REDUCERS, found.reducer.kind))
    return tuple(one for one in told if one)


def metric(kind: str, settings: Mapping[str, object] | None = None) -> Metric:
    """Return a metric with these settings, as a task file or ``metric_settings_json`` has them; lists become tuples.

    The key "reducer" is no setting of the metric: a table with the kind and the settings of a plugin's reducer.

    Raises:
        TaskError: unknown_metric, unknown_key (the nearest is named), or a setting that makes no sense.
    """
    found = metric_class(kind)
    given = dict(settings or {})
    if _REDUCER in given:
        table = given.pop(_REDUCER)
        return reduced(metric(kind, given), table)
    types = {field.name: str(field.type) for field in dataclasses.fields(found)}
    unknown = first_unknown(list(given), tuple(types))
    if unknown is not None:
        known = meant(unknown, types) if types else f"{kind} has no settings: leave it out"
        raise TaskError("unknown_key", f"metric {kind} has the unknown key {unknown!r}; {known}")
    return found(**{key: _as_declared(_frozen(value), types[key]) for key, value in given.items()})


def metric_settings_json(found: Metric) -> str:
    """Return the settings of a metric, defaults included, as JSON that ``metric`` takes back; equal ones alike."""
    return json.dumps(_settings(found), sort_keys=True)


def _settings(found: Metric) -> dict[str, object]:
    if isinstance(found, Reduced):
        return {**_settings(found.metric), _REDUCER: found.reducer_table()}
    return {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}


def undefined_reason(found: Metric, truth: Mapping[str, NDArray[Any]]) -> str | None:
    """Return why no answers to this truth have a value, in a sentence; None when they can, or nobody knows.

    Raises:
        TaskError: truth that lacks what the metric reads.
    """
    return found.undefined_reason(truth) if isinstance(found, KnowsWhenUndefined) else None


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def _as_declared(value: object, declared: str) -> object:
    """Make 1 of a field of floats 1.0, so that the same settings have one JSON text."""
    if "float" not in declared:
        return value
    if isinstance(value, tuple):
        return tuple(_as_declared(item, declared) for item in value)
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return float(value) if is_whole else value  # type: ignore[arg-type]
