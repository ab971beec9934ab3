"""Check a variant before it is kept: it loads, and its outputs are numbers where its parent's are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard.compress.sessions import batch_size, drawn_feed, open_session, run_bounded

_CHECKED_BATCHES = 4


def verify_variant(
    variant_path: Path, parent: Any, *, calibration: CalibrationData | None, seed: int
) -> tuple[str, ...]:
    """Run a variant on a few calibration or drawn inputs; ``parent`` is a session of the model it was made from.

    Returns:
        Notes: what could not be checked.

    Raises:
        CompressionError: variant_not_loadable or not_finite.
        CompressionInputError: the parent itself gives no finite outputs.
    """
    session = _open_variant(variant_path)
    if calibration is None:
        drawn = drawn_feed(session, seed)
        if isinstance(drawn, str):
            return (f"the variant's outputs were not checked: {drawn} without calibration data",)
        feeds: Iterator[dict[str, NDArray[Any]]] = iter([drawn])
    else:
        feeds = _first_batches(calibration, batch_size(session))
    for feed in feeds:
        _check_finite(session, parent, feed)
    return ()


def _open_variant(path: Path) -> Any:
    try:
        return open_session(path)
    except CompressionInputError as error:
        raise CompressionError(
            "variant_not_loadable", f"the variant that was made does not run: {error}; nothing was kept"
        ) from error


def _first_batches(calibration: CalibrationData, size: int) -> Iterator[dict[str, NDArray[Any]]]:
    for start in range(0, min(calibration.sample_count - size + 1, _CHECKED_BATCHES * size), size):
        yield calibration.feed(start, start + size)


def _check_finite(session: Any, parent: Any, feed: dict[str, NDArray[Any]]) -> None:
    bad = _not_finite(session, feed)
    if bad is None:
        return
    # Inputs may have become float16 in the variant only when io types were not kept: the parent takes its own.
    parent_feed = {spec.name: feed[spec.name] for spec in parent.get_inputs()}
    if all(value.dtype != np.float16 for value in feed.values()) and _not_finite(parent, parent_feed) is not None:
        raise CompressionInputError(
            "not_finite", f"the model itself gives NaN or infinity in its output {bad!r}; repair it first"
        )
    raise CompressionError(
        "not_finite",
        f"the variant gives NaN or infinity in its output {bad!r} where its parent does not (float16 holds up to "
        "65,504); try another recipe",
    )


def _not_finite(session: Any, feed: dict[str, NDArray[Any]]) -> str | None:
    """Return the name of the first output with a value that is not finite, or None."""
    for spec, value in zip(session.get_outputs(), run_bounded(session, feed), strict=True):
        is_float = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        if is_float and not np.isfinite(value).all():
            return str(spec.name)
    return None
