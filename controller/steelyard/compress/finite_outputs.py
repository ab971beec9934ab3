"""What a variant of either format is checked for before it is kept: outputs that are numbers where its parent's are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from numpy.typing import NDArray

from steelyard.compress.calibration import CalibrationData
from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard.compress.parent_outputs import bad_parent

Feed = dict[str, NDArray[Any]]
S = TypeVar("S")

_CHECKED_BATCHES = 4


def open_variant(open_it: Callable[[], S]) -> S:
    """Return the session of a variant.

    Raises:
        CompressionError: variant_not_loadable.
    """
    try:
        return open_it()
    except CompressionInputError as error:
        raise CompressionError(
            "variant_not_loadable", f"the variant that was made does not run: {error}; nothing was kept"
        ) from error


def check_finite(
    calibration: CalibrationData | None,
    drawn: Feed | str,
    *,
    batch_size: int,
    bad_output: Callable[[Feed], str | None],
    parents_bad_output: Callable[[Feed], str | None],
) -> tuple[str, ...]:
    """Run a variant on its first calibration batches, or on ``drawn`` where there is no such data.

    ``bad_output`` runs the variant and names its first output that is not finite, ``parents_bad_output`` the parent.

    Returns:
        Notes: what could not be checked.

    Raises:
        CompressionError: not_finite.
        CompressionInputError: not_finite, the parent itself gives no finite outputs.
    """
    if calibration is None and isinstance(drawn, str):
        return (f"the variant's outputs were not checked: {drawn} without calibration data",)
    feeds = iter([drawn]) if calibration is None else _first_batches(calibration, batch_size)
    for feed in feeds:
        assert not isinstance(feed, str)
        bad = bad_output(feed)
        if bad is not None and parents_bad_output(feed) is not None:
            raise bad_parent(bad)
        if bad is not None:
            raise CompressionError(
                "not_finite",
                f"the variant gives NaN or infinity in its output {bad!r} where its parent does not (float16 holds up "
                "to 65,504); try another recipe",
            )
    return ()


def _first_batches(calibration: CalibrationData, size: int) -> Iterator[Feed]:
    size = calibration.batch(size)
    for start in range(0, min(calibration.sample_count - size + 1, _CHECKED_BATCHES * size), size):
        yield calibration.feed(start, start + size)
