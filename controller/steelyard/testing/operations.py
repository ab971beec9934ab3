"""The contract tests of preprocessing operations and of reducers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.testing.declarations import check_declared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from steelyard.plugins.contract import OutputReducer, PreprocessingOperation


def check_operation(operation: PreprocessingOperation, samples: NDArray[Any]) -> NDArray[Any]:
    """Apply an operation to samples [N, ...] and return what it made.

    Checked: the class and its settings; the samples are not changed; as many come back, as numbers; the same ones the
    second time, and the same where samples come in two parts (splits are made one by one).

    Raises:
        AssertionError: the operation does not keep the contract; a sentence says how.
    """
    import numpy as np

    from steelyard.testing.arrays import assert_same

    check_declared("preprocessing", operation)
    kept = samples.copy()
    made = operation.apply(samples)
    assert_same({"samples": kept}, {"samples": samples}, f"{operation.kind} changed what it was given")
    assert isinstance(made, np.ndarray), f"{operation.kind} returned {type(made).__name__} and no array"
    assert made.dtype.kind in "fiub", f"{operation.kind} returned {made.dtype}; return numbers"
    assert made.shape[:1] == samples.shape[:1], f"{operation.kind} made {made.shape} of {samples.shape}"
    assert_same({"samples": made}, {"samples": operation.apply(samples)}, f"{operation.kind}, the second time")
    if len(samples) > 1:
        parts = [operation.apply(part) for part in (samples[:1], samples[1:])]
        whole = {"samples": np.concatenate(parts)}
        assert_same({"samples": made}, whole, f"{operation.kind}, samples in two parts")
    return made


def check_reducer(reducer: OutputReducer, outputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    """Reduce whole outputs and return what came of it.

    Checked: the class and its settings; the outputs are not changed; arrays come back, the same the second time.

    Raises:
        AssertionError: the reducer does not keep the contract; a sentence says how.
    """
    import numpy as np

    from steelyard.testing.arrays import assert_same, copied

    check_declared("reducers", reducer)
    kept = copied(outputs)
    made = reducer.reduce(outputs)
    assert_same(kept, outputs, f"{reducer.kind} changed what it was given")
    for name, array in made.items():
        assert isinstance(array, np.ndarray), f"{reducer.kind} returned {name!r} as {type(array).__name__}"
    assert_same(dict(made), dict(reducer.reduce(outputs)), f"{reducer.kind}, the second time")
    return made
