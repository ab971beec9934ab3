"""How a bisection ended, in a sentence, as a document and on a terminal of 80 columns; nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from steelyard.bisect.records import Comparison
from steelyard.bisect.running import Bisection
from steelyard.bisect.search import Answer, Found, NothingToFind, Step
from steelyard.nightly.report_json import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {Answer.GOOD: "green", Answer.BAD: "red", Answer.SKIPPED: "yellow"}


def bisect_sentence(work: Bisection, step: Step) -> str:
    """Return how the search ended."""
    first, last = work.candidates[0], work.candidates[-1]
    if not isinstance(step, Found):
        is_open = isinstance(step, NothingToFind) and step.last is Answer.SKIPPED
        why = "could not be told from it" if is_open else f"is not worse by {work.condition.text}"
        return f"nothing to find: beside {first.title}, {last.title} {why}"
    bad, good = work.candidates[step.first_bad], work.candidates[step.last_good]
    if step.is_single:
        return f"{bad.title} ({bad.name}) is the first that is bad; {good.title} before it is good"
    between = step.first_bad - step.last_good
    return f"one of {between} brought the change, behind {good.title} and up to {bad.title}; the others were skipped"


def bisect_document(work: Bisection, comparisons: Sequence[Comparison], step: Step) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    found = step if isinstance(step, Found) else None
    return {
        "sentence": bisect_sentence(work, step),
        "device": work.device,
        "condition": work.condition.text,
        "candidates": [asdict(one) for one in work.candidates],
        "comparisons": plain(tuple(comparisons)),
        "first_bad": None if found is None else found.first_bad,
        "last_good": None if found is None else found.last_good,
        "is_single": found is not None and found.is_single,
    }


def render_bisection(work: Bisection, comparisons: Sequence[Comparison], step: Step) -> RenderableType:
    """Return the sentence, and a line for every candidate that was compared."""
    from rich.console import Group

    return Group(*_lines(work, comparisons, step))


def _lines(work: Bisection, comparisons: Sequence[Comparison], step: Step) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text(bisect_sentence(work, step), style="bold")
    by_index = {one.index: one for one in comparisons}
    for index, candidate in enumerate(work.candidates):
        compared = by_index.get(index)
        if index and compared is None:
            continue
        answer = Answer.GOOD if compared is None else compared.answer
        yield Text()
        yield Text.assemble((answer.value, _STYLES[answer]), f"  {candidate.title} ({candidate.name})")
        if compared is not None:
            job = f" (job {compared.job_id[:12]})" if compared.job_id else ""
            yield Padding(Text(compared.reason + job, style="dim"), (0, 0, 0, 2))
