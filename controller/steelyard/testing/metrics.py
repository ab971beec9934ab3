"""The contract test of a metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.testing.declarations import check_declared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from steelyard.tasks.metrics.contract import Answers, Metric

_REDUCERS = ("argmax", "top_k", "score_threshold", "full")


def check_metric(metric: Metric, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> float:
    """Set outputs against the truth as the controller would, and return the value, which must be defined.

    Checked: the class and its settings; nothing that comes in is changed; samples counted once give the plain value,
    counted twice the same, counted not at all none; outputs of fewer samples raise ``TaskError``.

    Args:
        metric: with the settings to test.
        truth: the arrays that ``truth_arrays`` names (the parent's outputs where the metric needs those), [N, ...].
        outputs: what the metric's reduction gives of a model's answers to the same samples.

    Raises:
        AssertionError: the metric does not keep the contract; a sentence says how.
    """
    from steelyard.testing.arrays import assert_same, copied

    check_declared("metrics", metric)
    reducer = metric.reduction.reducer
    assert reducer in _REDUCERS, f"{metric.kind} wants the reducer {reducer!r}; devices have {', '.join(_REDUCERS)}"
    missing = set(metric.truth_arrays) - set(truth)
    assert not missing, f"{metric.kind} reads the truth {', '.join(sorted(missing))}, which this test does not give"
    kept_truth, kept_outputs = copied(truth), copied(outputs)
    answers = metric.answers(truth, outputs)
    value = _checked_value(metric, answers)
    assert_same(kept_truth, truth, f"{metric.kind} changed the truth")
    assert_same(kept_outputs, outputs, f"{metric.kind} changed the outputs")
    _check_misfit(metric, truth, outputs, answers.sample_count)
    return value


def _checked_value(metric: Metric, answers: Answers) -> float:
    import numpy as np

    count = answers.sample_count
    assert count > 0, f"{metric.kind} counts {count} samples"
    value = answers.value()
    assert value is not None, f"{metric.kind} is not defined; give a test in which it is"
    assert math.isfinite(value), f"{metric.kind} is {value}; return None where it is not defined"
    if metric.unit == "fraction":
        assert 0.0 <= value <= 1.0, f"{metric.kind} is {value} and its unit is a fraction"
    for times in (1, 2):
        again = answers.value(np.full(count, times, dtype=np.int64))
        same = again is not None and math.isclose(again, value, rel_tol=1e-9, abs_tol=1e-12)
        assert same, f"{metric.kind} is {value}, and {again} with every sample counted {times} times"
    nothing = answers.value(np.zeros(count, dtype=np.int64))
    assert nothing is None, f"{metric.kind} is {nothing} of no samples; return None"
    return value


def _check_misfit(
    metric: Metric, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]], count: int
) -> None:
    """A device's bytes are not trusted: answers to fewer samples must be refused, not scored."""
    from steelyard.tasks.errors import TaskError

    if count < 2 or not all(array.shape[:1] == (count,) for array in outputs.values()):
        return
    fewer = {name: array[:-1] for name, array in outputs.items()}
    try:
        metric.answers(truth, fewer)
    except TaskError:
        return
    raise AssertionError(f"{metric.kind} scores outputs of {count - 1} samples against {count}; raise TaskError")
