"""Check an ONNX variant before it is kept: it loads, and its outputs are numbers where its parent's are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.finite_outputs import Feed, check_finite, open_variant
from steelyard.compress.sessions import as_taken, batch_size, drawn_feed, open_session, run_bounded


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
    session = open_variant(lambda: open_session(variant_path))

    return check_finite(
        calibration,
        drawn_feed(parent, seed) if calibration is None else {},
        batch_size=batch_size(session),
        bad_output=lambda feed: _not_finite(session, feed),
        parents_bad_output=lambda feed: _not_finite(parent, feed),
    )


def _not_finite(session: Any, feed: Feed) -> str | None:
    """Return the name of the first output with a value that is not finite, or None."""
    for spec, value in zip(session.get_outputs(), run_bounded(session, as_taken(session, feed)), strict=True):
        is_float = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        if is_float and not np.isfinite(value).all():
            return str(spec.name)
    return None
