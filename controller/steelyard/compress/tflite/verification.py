"""Check a TFLite variant before it is kept: it loads, and its outputs are numbers where its parent's are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard.compress.tflite.sessions import TfliteSession, batch_size, drawn_feed, open_session, run_bounded

_CHECKED_BATCHES = 4


def verify_variant(
    variant_path: Path, parent: Path, *, calibration: CalibrationData | None, seed: int
) -> tuple[str, ...]:
    """Run a variant on a few calibration or drawn inputs; ``parent`` is the model it was made from.

    Returns:
        Notes: what could not be checked.

    Raises:
        CompressionError: variant_not_loadable, other_signature or not_finite.
        CompressionInputError: the parent itself gives no finite outputs.
    """
    session, original = _open_variant(variant_path), open_session(parent)
    _refuse_other_signature(session, original)
    if calibration is None:
        drawn = drawn_feed(session, seed)
        if isinstance(drawn, str):
            return (f"the variant's outputs were not checked: {drawn} without calibration data",)
        feeds: Iterator[dict[str, NDArray[Any]]] = iter([drawn])
    else:
        feeds = _first_batches(calibration, batch_size(session))
    for feed in feeds:
        _check_finite(session, original, feed)
    return ()


def _open_variant(path: Path) -> TfliteSession:
    try:
        return open_session(path)
    except CompressionInputError as error:
        raise CompressionError(
            "variant_not_loadable", f"the variant that was made does not run: {error}; nothing was kept"
        ) from error


def _refuse_other_signature(session: TfliteSession, original: TfliteSession) -> None:
    """Refuse a variant that takes or gives something else: data and metrics are bound by these names."""
    made = [(place.name, place.dtype) for place in (*session.inputs, *session.outputs)]
    wanted = [(place.name, place.dtype) for place in (*original.inputs, *original.outputs)]
    if made != wanted:
        raise CompressionError(
            "other_signature",
            f"the variant takes and gives {made} where its parent has {wanted}; nothing was kept, please report it",
        )


def _first_batches(calibration: CalibrationData, size: int) -> Iterator[dict[str, NDArray[Any]]]:
    for start in range(0, min(calibration.sample_count - size + 1, _CHECKED_BATCHES * size), size):
        yield calibration.feed(start, start + size)


def _check_finite(session: TfliteSession, original: TfliteSession, feed: dict[str, NDArray[Any]]) -> None:
    bad = _not_finite(session, feed)
    if bad is None:
        return
    if _not_finite(original, feed) is not None:
        raise CompressionInputError(
            "not_finite", f"the model itself gives NaN or infinity in its output {bad!r}; repair it first"
        )
    raise CompressionError(
        "not_finite",
        f"the variant gives NaN or infinity in its output {bad!r} where its parent does not (float16 holds up to "
        "65,504); try another recipe",
    )


def _not_finite(session: TfliteSession, feed: dict[str, NDArray[Any]]) -> str | None:
    """Return the name of the first output with a value that is not finite, or None."""
    for place, value in zip(session.outputs, run_bounded(session, feed), strict=True):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return place.name
    return None
