"""Reading attributes of sysfs and procfs defensively: each failure is one sentence that names the file."""

from __future__ import annotations

import os
import re

from steelyard_agent.errors import AgentError
from steelyard_agent.meters.contract import System

# An attribute of sysfs is at most a page; procfs files that we read whole (/proc/cpuinfo) can be longer.
_CHUNK_BYTES = 65536
_NUMBER_BYTES = 64
_LABEL_CHARACTERS = 64


class SourceError(AgentError):
    """A file that should hold a value does not give one; the message is the reason of an unavailable reading."""


class NumberFile:
    """A whole number in a file that is read again and again.

    The descriptor is kept and read with ``os.pread``: about a tenth of the cost of opening the file each time. It is
    opened on first use and dropped after a failure, so that a driver that comes back is found again. Not thread-safe.
    """

    def __init__(self, system: System, absolute: str) -> None:
        self._system = system
        self._absolute = absolute
        self._descriptor: int | None = None

    def read(self) -> int:
        """Return the number.

        Raises:
            SourceError: the file is missing, denied, empty, unreadable or holds no whole number.
        """
        try:
            if self._descriptor is None:
                self._descriptor = self._system.open_descriptor(self._system.path(self._absolute), os.O_RDONLY)
            raw = os.pread(self._descriptor, _NUMBER_BYTES, 0)
        except OSError as error:
            self.close()
            raise _source_error(self._absolute, error) from error
        return parse_number(raw.decode("utf-8", "replace"), self._absolute)

    def close(self) -> None:
        """Give the descriptor back; the next read opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        """Give the descriptor back with the object: sources are held for as long as somebody looks, and not closed."""
        self.close()


def parse_number(text: str, absolute: str) -> int:
    """Return the whole number that ``text``, read from the file ``absolute``, consists of.

    Raises:
        SourceError: the text is empty or no whole number.
    """
    stripped = text.strip("\x00 \t\r\n")
    if not stripped:
        raise SourceError("empty", f"{absolute} is empty")
    if re.fullmatch(r"[+-]?[0-9]{1,30}", stripped) is None:
        raise SourceError("not_a_number", f"{absolute} holds {stripped[:40]!r}, which is no whole number")
    return int(stripped)


def read_text(system: System, absolute: str) -> str:
    """Return a file's text without surrounding blanks and NULs.

    Raises:
        SourceError: the file is missing, denied or unreadable.
    """
    try:
        descriptor = system.open_descriptor(system.path(absolute), os.O_RDONLY)
        try:
            chunks = []
            while chunk := os.read(descriptor, _CHUNK_BYTES):
                chunks.append(chunk)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _source_error(absolute, error) from error
    return b"".join(chunks).decode("utf-8", "replace").strip("\x00 \t\r\n")


def text_or_empty(system: System, absolute: str) -> str:
    """Return a file's text, "" when it cannot be read: for labels, whose absence is no failure."""
    try:
        return read_text(system, absolute)
    except SourceError:
        return ""


def label_or_empty(system: System, absolute: str) -> str:
    """Return a name that a driver or a device tree gave, fit to be shown: in one line, without control characters."""
    text = text_or_empty(system, absolute)[:_LABEL_CHARACTERS]
    return "".join(one if one.isprintable() else "?" for one in text)


def read_number(system: System, absolute: str) -> int:
    """Return the whole number in a file that is read once.

    Raises:
        SourceError: as ``NumberFile.read``.
    """
    return parse_number(read_text(system, absolute), absolute)


def number_or_reason(system: System, absolute: str) -> int | str:
    """Return the whole number in a file that is read now and then, or the sentence that says why there is none."""
    try:
        return read_number(system, absolute)
    except SourceError as error:
        return str(error)


def list_names(system: System, absolute: str) -> tuple[list[str], str]:
    """Return the names in a folder in natural order, and why there are none ("" when the folder could be read)."""
    try:
        names = system.list_folder(system.path(absolute))
    except FileNotFoundError:
        return [], "not there"
    except OSError as error:
        return [], (error.strerror or "unreadable").lower()
    return sorted(names, key=_natural_key), ""


def _natural_key(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _source_error(absolute: str, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError("missing", f"{absolute} is not there")
    if isinstance(error, PermissionError):
        message = f"permission denied on {absolute}; run steelyard-agent as root or give its user read permission"
        return SourceError("permission_denied", message)
    return SourceError("unreadable", f"{absolute} cannot be read: {error.strerror or error}")
