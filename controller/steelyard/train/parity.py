"""How far two answers to the same inputs are apart: a module and a file, or two files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def relative_difference(given: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference as a share of the largest magnitude expected; infinite for another shape."""
    if given.shape != expected.shape:
        return float("inf")
    if not expected.size:
        return 0.0
    if expected.dtype.kind == "b":
        return float((given != expected).any())
    given, expected = given.astype(np.float64), expected.astype(np.float64)
    same = (given == expected) | (np.isnan(given) & np.isnan(expected))
    if same.all():
        return 0.0
    difference = np.abs(np.where(same, 0.0, given - expected)).max()
    finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max()) if finite.size else 0.0
    return float(difference) / scale if scale > 0 and np.isfinite(difference) else float("inf")


def largest_difference(given: Arrays, expected: Arrays) -> float:
    """Return the largest relative difference of any output; both have the same names."""
    return max(relative_difference(given[name], expected[name]) for name in expected)


def file_outputs(path: Path, feed: Arrays) -> dict[str, NDArray[Any]]:
    """Return what onnxruntime makes of a feed, by name.

    Raises:
        SteelyardError: it cannot load or run the model.
    """
    from steelyard.compress.sessions import open_session, run_bounded

    session = open_session(path)
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, run_bounded(session, dict(feed)), strict=True))


def module_outputs(
    module: Any, feed: Arrays, *, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    """Return what a PyTorch module makes of a feed, by the names of its outputs in order."""
    import torch

    with torch.no_grad():
        # A program that changes its inputs in place changes copies.
        made = module(*(torch.from_numpy(np.array(feed[name])) for name in inputs))
    given = made if isinstance(made, tuple | list) else (made,)
    return {name: output.detach().cpu().numpy() for name, output in zip(outputs, given, strict=True)}
