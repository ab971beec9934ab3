"""What a lack of memory looks like, whoever tells it."""

from __future__ import annotations

# Of PyTorch's allocators for processors and GPUs.
_SIGNS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "Cannot allocate memory")
# All that oneDNN says, whose kernels PyTorch takes on processors, where a training ran into a bound of 1.25 GB. What
# it cannot do at all has other words ("could not create a primitive descriptor ...").
_WHOLE = ("could not create a primitive", "could not create a memory object")


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether an error of torch or Python says that there is not enough memory."""
    told = str(error)
    return isinstance(error, MemoryError) or told.strip() in _WHOLE or any(sign in told for sign in _SIGNS)
