"""A blob that is being fetched: written and hashed by a thread of its own, while the next bytes are on their way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import queue

# Chunks of half a megabyte at most: what is in memory, and what a killed agent fetches again.
_MOST_WAITING = 4


class PartialFile:
    """Appends to a file until it is closed. ``write`` waits where the disk is slower than the link; for one thread.

    What was there before is not hashed: that may take long, and nobody waits for it here.
    """

    def __init__(self, path: Path) -> None:
        """Append to ``path``, which need not be there."""
        # An agent that idles does not hold them.
        import hashlib
        import queue
        import threading

        self._file = path.open("ab")
        self._position = self._file.tell()
        self._hash = hashlib.sha256() if self._position == 0 else None
        self._pieces: queue.Queue[bytes] = queue.Queue(_MOST_WAITING)
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._work, name="partial-file", daemon=True)
        self._thread.start()

    @property
    def digest(self) -> str:
        """The SHA-256 of the file in lower-case hexadecimal once it is closed; "" where nobody hashed all of it."""
        return "" if self._hash is None or self._failure is not None else self._hash.hexdigest()

    def tell(self) -> int:
        """Return how many bytes there are, with those that are not written yet."""
        return self._position

    def write(self, piece: bytes) -> None:
        """Append ``piece``.

        Raises:
            OSError: An earlier piece could not be written.
        """
        if self._failure is not None:
            raise self._failure
        # Nothing would be the end.
        if piece:
            self._pieces.put(piece)
            self._position += len(piece)

    def close(self) -> None:
        """Write what is left.

        Raises:
            OSError: A piece could not be written.
        """
        if self._file.closed:
            return
        self._pieces.put(b"")
        self._thread.join()
        try:
            self._file.close()
        except OSError as error:
            self._failure = self._failure or error
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while piece := self._pieces.get():
            # After a failure what comes is let go: nobody may wait for room in the queue for ever.
            if self._failure is None:
                try:
                    self._file.write(piece)
                except OSError as error:
                    self._failure = error
                    continue
                if self._hash is not None:
                    self._hash.update(piece)


@contextmanager
def appending(path: Path) -> Iterator[PartialFile]:
    """Lend the file; what ends the context goes before what closing it raises.

    Raises:
        OSError: A piece could not be written.
    """
    file = PartialFile(path)
    try:
        yield file
    except BaseException:
        with suppress(OSError):
            file.close()
        raise
    file.close()
