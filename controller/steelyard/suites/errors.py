"""What a suite is refused for: all problems of a file at once, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, and where: "night.toml [metrics.p50] min_effect"."""

    place: str
    sentence: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.place}: {self.sentence}"


class SuiteError(UsageError):
    """A suite that cannot be run; ``problems`` are all that were found."""

    def __init__(self, reason: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        if count == 1:
            text = str(self.problems[0])
        else:
            listed = "; ".join(f"({number}) {one}" for number, one in enumerate(self.problems, start=1))
            text = f"the suite has {count} problems: {listed}"
        super().__init__(reason, text)


class Problems:
    """Collects what is wrong, so that one run of a check shows all of it."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, place: str, sentence: str) -> None:
        """Note a problem; the same one is noted once."""
        problem = Problem(place=place, sentence=sentence)
        if problem not in self._found:
            self._found.append(problem)

    def refuse(self, reason: str = "invalid_suite") -> None:
        """End where anything was found.

        Raises:
            SuiteError: with all of it.
        """
        if self._found:
            raise SuiteError(reason, self._found)
