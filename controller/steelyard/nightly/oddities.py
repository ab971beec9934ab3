"""What was odd about a night as a whole: lines at the end of its report."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard import __version__
from steelyard.nightly.device_session import SENTINEL_MODEL
from steelyard.nightly.night_facts import NightFacts
from steelyard.suites.effective import suite_digest

# A runner and a controller whose clocks differ by less agree.
_MOST_SKEW_S = 120.0


def oddities(facts: NightFacts) -> Iterator[str]:
    """Yield a sentence for each."""
    night, previous = facts.running.night, facts.running.previous
    if previous is None:
        yield (
            "This is the first night of the suite: there is no history, and nothing that it could be worse than. It is "
            "judged by more and more of its nights from now on."
        )
    else:
        if previous.suite_digest != night.suite_digest:
            yield f"The suite was edited since night {previous.night_number}."
        if previous.night_number != night.night_number - 1:
            yield (
                f"The last night before this one that ended is night {previous.night_number}; those in between were "
                "abandoned."
            )
    if suite_digest(facts.running.suite) != night.suite_digest:
        yield "The suite was edited while the night was interrupted; cells that were planned before stayed planned."
    yield from _clocks(facts)
    yield from _models(facts)
    before = facts.previous_report
    if before is not None and before.header.steelyard_version != __version__:
        yield f"Steelyard {__version__} judged this night, {before.header.steelyard_version} the one before."
    if previous is not None and previous.report_digest and before is None:
        yield f"The report of night {previous.night_number} cannot be read by this version of Steelyard."


def _clocks(facts: NightFacts) -> Iterator[str]:
    night, previous = facts.running.night, facts.running.previous
    if previous is not None:
        back_s = (previous.ended_at.ToNanoseconds() - night.started_at.ToNanoseconds()) / 1e9
        if back_s > 0:
            yield (
                f"The clock of the machine that runs the nights went back: this one began {_hours(back_s)} before the "
                f"end of night {previous.night_number} by it. Nights are counted, so that their order is right."
            )
    skew_s = (night.started_at.ToNanoseconds() - night.begun_at.ToNanoseconds()) / 1e9
    if night.HasField("begun_at") and abs(skew_s) > _MOST_SKEW_S:
        word = "ahead of" if skew_s > 0 else "behind"
        yield f"The clock of the machine that runs the nights is {_hours(abs(skew_s))} {word} the controller's."
    if facts.now.timestamp() < night.started_at.ToNanoseconds() / 1e9:
        yield "The clock went back while the night ran; durations are of a clock that nobody sets."


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _models(facts: NightFacts) -> Iterator[str]:
    wanted = {one.name for one in facts.running.suite.models} | {SENTINEL_MODEL}
    last: dict[str, int] = {}
    first: dict[str, int] = {}
    for one in facts.series:
        if one.history.last_night is not None:
            last[one.key.model] = max(last.get(one.key.model, 0), one.history.last_night)
        first[one.key.model] = min(first.get(one.key.model, one.first_night), one.first_night)
    previous = facts.running.previous
    for model in sorted(last.keys() - wanted):
        if previous is not None and last[model] == previous.night_number:
            yield f"Model {model} is not in the suite any more; its series end with night {last[model]}."
    new = sorted(name for name in first.keys() & wanted if first[name] == facts.number and name != SENTINEL_MODEL)
    if new and previous is not None:
        yield f"New tonight, without a history: {', '.join(new)}."
