"""What a lack of memory looks like, whoever tells it."""

from __future__ import annotations

# Of PyTorch's allocators for processors and GPUs.
_SIGNS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "Cannot allocate memory")


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether an error of torch or Python says that there is not enough memory."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _SIGNS)
