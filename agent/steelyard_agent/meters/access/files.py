"""Access "files": the product of whole numbers in files, whose descriptors are kept."""

from __future__ import annotations

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import NumberFile

RUNS_PROGRAM = False


def open_reader(system: System, addresses: tuple[str, ...]) -> FileProduct:
    """Return a reader of the product of the files ``addresses``."""
    return FileProduct(system, addresses)


class FileProduct:
    """Multiplies what its files say."""

    def __init__(self, system: System, addresses: tuple[str, ...]) -> None:
        self._files = [NumberFile(system, address) for address in addresses]

    def read(self) -> int:
        """Return the product.

        Raises:
            SourceError: a file gives no value.
        """
        product = 1
        for file in self._files:
            product *= file.read()
        return product

    def close(self) -> None:
        """Give the descriptors back."""
        for file in self._files:
            file.close()
