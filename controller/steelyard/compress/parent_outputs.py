"""What a model gives before anything is done to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from steelyard.compress.errors import CompressionInputError


def refuse_bad_parent(names: Sequence[str], outputs: Sequence[Any]) -> None:
    """Refuse a model whose outputs are not finite: a variant may hide that, and agrees with nothing.

    Raises:
        CompressionInputError: not_finite, naming the output.
    """
    for name, values in zip(names, outputs, strict=True):
        if isinstance(values, np.ndarray) and values.dtype.kind == "f" and not np.isfinite(values).all():
            raise bad_parent(name)


def bad_parent(output: str) -> CompressionInputError:
    """Return the error of a model that gives what is no number."""
    return CompressionInputError(
        "not_finite",
        f"the model itself gives NaN or infinity in its output {output!r}; repair it, or give samples that it takes",
    )
