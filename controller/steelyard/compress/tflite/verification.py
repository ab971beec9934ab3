"""Check a TFLite variant before it is kept: it loads, and its outputs are numbers where its parent's are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.errors import CompressionError
from steelyard.compress.finite_outputs import Feed, check_finite, open_variant
from steelyard.compress.tflite.sessions import TfliteSession, batch_size, drawn_feed, open_session, run_bounded


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
    session, original = open_variant(lambda: open_session(variant_path)), open_session(parent)
    _refuse_other_signature(session, original)
    return check_finite(
        calibration,
        drawn_feed(session, seed) if calibration is None else {},
        batch_size=batch_size(session),
        bad_output=lambda feed: _not_finite(session, feed),
        parents_bad_output=lambda feed: _not_finite(original, feed),
    )


def _refuse_other_signature(session: TfliteSession, original: TfliteSession) -> None:
    """Refuse a variant that takes or gives something else: data and metrics are bound by these names."""
    made = [(place.name, place.dtype) for place in (*session.inputs, *session.outputs)]
    wanted = [(place.name, place.dtype) for place in (*original.inputs, *original.outputs)]
    if made != wanted:
        raise CompressionError(
            "other_signature",
            f"the variant takes and gives {made} where its parent has {wanted}; nothing was kept, please report it",
        )


def _not_finite(session: TfliteSession, feed: Feed) -> str | None:
    """Return the name of the first output with a value that is not finite, or None."""
    for place, value in zip(session.outputs, run_bounded(session, feed), strict=True):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return place.name
    return None
