"""What to do about a lack of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from steelyard.compress.lack_of_memory import is_lack_of_memory
from steelyard.train.errors import TrainingError


@contextmanager
def smaller_batch_proposed(batch_size: int) -> Iterator[None]:
    """Turn a lack of memory inside into a sentence with a batch that needs less.

    Raises:
        TrainingError: out_of_memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_lack_of_memory(error):
            raise
        way_on = f"begin again with batch_size = {batch_size // 2}" if batch_size > 1 else "train a smaller model"
        raise TrainingError(
            "out_of_memory",
            f"a batch of {batch_size} samples needs more memory than there is; free some and run it again, which goes "
            f"on behind the last epoch, or {way_on}",
        ) from error
