"""Turn one collection of samples, or one a split, into the splits of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.sources.drawing import Draw
from steelyard.tasks.task import ONLY_INPUT, Split

Arrays = Mapping[str, NDArray[Any]]


def drawn_data(
    inputs: Arrays | NDArray[Any],
    truth: Arrays,
    draw: Draw,
    *,
    source: object,
    told: Mapping[str, object],
    class_names: tuple[str, ...] = (),
) -> SourceData:
    """Return the splits that ``draw`` takes out of one collection of samples [N, ...].

    Raises:
        TaskError: too_few_samples.
    """
    named = inputs if isinstance(inputs, Mapping) else {ONLY_INPUT: inputs}
    count = len(next(iter(named.values())))
    splits = {
        name: Split(
            inputs={key: array[indexes] for key, array in named.items()},
            truth={key: array[indexes] for key, array in truth.items()} if name != "calibration" else {},
        )
        for name, indexes in draw.indexes(count, source).items()
    }
    return SourceData(
        evaluation=splits["evaluation"],
        calibration=splits.get("calibration"),
        validation=splits.get("validation"),
        training=splits.get("training"),
        class_names=class_names,
        drawn={**told, **draw.told()},
    )


def label_numbers(values: Sequence[object]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return class numbers and the names of the classes: whole numbers stay, others go by the order of their names."""
    names = [str(value) for value in values]
    if all(name.isdigit() for name in names):
        return np.array([int(name) for name in names], dtype=np.int64), ()
    known = tuple(sorted(set(names)))
    places = {name: index for index, name in enumerate(known)}
    return np.array([places[name] for name in names], dtype=np.int64), known
