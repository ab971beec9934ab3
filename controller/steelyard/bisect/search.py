"""The search itself: which candidate to ask about next, and what the answers so far say. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Answer(Enum):
    """What a comparison with the first candidate said of another one."""

    GOOD = "good"
    BAD = "bad"
    # Undecided, or it could not be measured.
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The candidate to compare with the first one next."""

    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The end: the change came after ``last_good`` and with ``first_bad`` at the latest.

    Candidates between the two could not be told; where there is none, ``first_bad`` brought the change.
    """

    last_good: int
    first_bad: int

    @property
    def is_single(self) -> bool:
        """Whether one candidate is left."""
        return self.first_bad - self.last_good == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToFind:
    """The end: the last candidate is not worse than the first one, or nobody could tell."""

    last: Answer


Step = Ask | Found | NothingToFind


def next_step(count: int, answers: Mapping[int, Answer]) -> Step:
    """Return what to do next with ``count`` candidates, the first of which is good by definition.

    The last one is asked about first: without a change there is nothing to search for. Then halves, as git bisect does;
    around one that was skipped the nearest that was not asked about is taken, on the side of the larger half.

    Raises:
        ValueError: there are not two candidates, or an answer is of none of them.
    """
    if count < 2:
        raise ValueError(f"{count} candidates leave nothing to search; two are the least")
    if any(not 0 < index < count for index in answers):
        raise ValueError(f"answers of {sorted(answers)} are not all of candidates 1 to {count - 1}")
    last = answers.get(count - 1)
    if last is None:
        return Ask(index=count - 1)
    if last is not Answer.BAD:
        return NothingToFind(last=last)
    last_good, first_bad = _bounds(answers)
    open_ones = [index for index in range(last_good + 1, first_bad) if index not in answers]
    if not open_ones:
        return Found(last_good=last_good, first_bad=first_bad)
    middle = (last_good + first_bad) / 2
    return Ask(index=min(open_ones, key=lambda index: (abs(index - middle), index)))


def comparisons_left(count: int, answers: Mapping[int, Answer]) -> int:
    """Return how many more comparisons there will be, when each one decides."""
    step = next_step(count, answers)
    if not isinstance(step, Ask):
        return 0
    if step.index == count - 1 and count - 1 not in answers:
        return 1 + max(0, count - 2).bit_length()
    last_good, first_bad = _bounds(answers)
    return max(1, (first_bad - last_good - 1).bit_length())


def _bounds(answers: Mapping[int, Answer]) -> tuple[int, int]:
    """Return the last good candidate before the first bad one, and that one; there is a bad one."""
    first_bad = min(index for index, answer in answers.items() if answer is Answer.BAD)
    good = (index for index, answer in answers.items() if answer is Answer.GOOD and index < first_bad)
    return max(good, default=0), first_bad
