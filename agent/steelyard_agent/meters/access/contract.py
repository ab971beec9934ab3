"""What a way of access gives: a reader of whole numbers. Standard library only: the sampler process imports this."""

from __future__ import annotations

from typing import Protocol


class RawReader(Protocol):
    """Reads one source; keeps what is costly to open. Not thread-safe."""

    def read(self) -> int:
        """Return the raw value, to be multiplied by the source's scale.

        Raises:
            SourceError: there is no value now, with the reason.
        """
        ...

    def close(self) -> None:
        """Give back what was opened; the next read opens it again."""
        ...
