"""The boundary to other people's quantizers: what they raise becomes a sentence, and their versions are recorded."""

from __future__ import annotations

import errno
import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager

from steelyard.compress.errors import CompressionError
from steelyard.compress.tool_words import tool_words
from steelyard.errors import SteelyardError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def tool_versions(*distributions: str) -> tuple[str, ...]:
    """Return "name version" of installed distributions."""
    return tuple(f"{name} {importlib.metadata.version(name)}" for name in distributions)


@contextmanager
def tool_errors(what: str) -> Iterator[None]:
    """Turn whatever a library raises inside into a ``CompressionError``; ``what`` says what was being done.

    Libraries raise KeyError, AttributeError and classes of their own for models that they do not understand. Errors of
    the file system are left to ``disk_errors``.

    Raises:
        CompressionError: tool_failed.
        OSError: the file system's own, and a full disk that a library told in words of its own.
    """
    try:
        yield
    except (SteelyardError, OSError):
        raise
    except Exception as error:
        if "No space left" in str(error):
            raise OSError(errno.ENOSPC, "No space left on device") from error
        raise CompressionError(
            "tool_failed",
            f"{what} failed ({type(error).__name__}: {tool_words(error)}); try another recipe, or report it to the "
            "tool with this model",
        ) from error


@contextmanager
def disk_errors(where: object) -> Iterator[None]:
    """Turn errors of the file system into a ``CompressionError``; ``where`` is the folder written to.

    Raises:
        CompressionError: disk_full or io_error.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise CompressionError(
                "disk_full", f"the disk of {where} is full; nothing was written: free space and run it again"
            ) from error
        raise CompressionError(
            "io_error", f"{where} cannot be used ({error}); check the folder and its rights"
        ) from error
