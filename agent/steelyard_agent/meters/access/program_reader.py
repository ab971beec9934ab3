"""A reader that asks a program each time; nothing is kept between two reads."""

from __future__ import annotations

from collections.abc import Callable

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError


class ProgramReader:
    """Runs ``command`` and takes from what it printed what ``parse`` makes of it, which raises ``SourceError``."""

    def __init__(self, system: System, command: tuple[str, ...], parse: Callable[[str], int]) -> None:
        self._system = system
        self._command = command
        self._parse = parse

    def read(self) -> int:
        """Return the raw value.

        Raises:
            SourceError: the program gave no answer, or one without a value.
        """
        answer = self._system.run_command(self._command)
        if answer.output is None:
            raise SourceError("no_answer", answer.reason)
        return self._parse(answer.output)

    def close(self) -> None:
        """Nothing is kept."""
