"""Access "file-pairs": the sum over rails of voltage times current; its addresses are V, A, V, A, and so on."""

from __future__ import annotations

from steelyard_agent.meters.access.files import FileProduct
from steelyard_agent.meters.contract import System

RUNS_PROGRAM = False


def open_reader(system: System, addresses: tuple[str, ...]) -> FilePairs:
    """Return a reader of the sum of the products of each two files.

    Raises:
        ValueError: a file is left without its pair.
    """
    return FilePairs(system, addresses)


class FilePairs:
    """Adds the products of its pairs of files."""

    def __init__(self, system: System, addresses: tuple[str, ...]) -> None:
        if len(addresses) % 2:
            raise ValueError(f"{len(addresses)} files are no pairs of voltage and current")
        self._rails = [FileProduct(system, addresses[i : i + 2]) for i in range(0, len(addresses), 2)]

    def read(self) -> int:
        """Return the sum.

        Raises:
            SourceError: a file gives no value; a sum without one of its rails would be another quantity.
        """
        return sum(rail.read() for rail in self._rails)

    def close(self) -> None:
        """Give the descriptors back."""
        for rail in self._rails:
            rail.close()
