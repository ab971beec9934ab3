"""What differs on each device since its last night."""

from __future__ import annotations

from steelyard.nightly.findings import environment_differences
from steelyard.nightly.histories import SeriesFacts
from steelyard.nightly.night_facts import NightFacts
from steelyard.nightly.night_findings import EnvironmentDifference
from steelyard.nightly.night_report import EnvironmentChange

# A model's own, told once for all devices.
_OF_MODEL = frozenset({"artifact", "recipe", "parent", "tools", "models", "task"})


def environment_changes(facts: NightFacts) -> tuple[EnvironmentChange, ...]:
    """Return each difference of each device once, and those of models once for the whole fleet."""
    found: dict[tuple[str, str, str | None, str | None], EnvironmentChange] = {}
    for one in facts.series:
        for difference in _of_series(facts, one):
            change = _change(facts, one, difference)
            key = (change.device_id, change.difference.name, difference.before, difference.after)
            found.setdefault(key, change)
    return tuple(sorted(found.values(), key=lambda one: (one.device, one.difference.name)))


def _of_series(facts: NightFacts, one: SeriesFacts) -> tuple[EnvironmentDifference, ...]:
    nights = one.history.nights.tolist()
    if len(nights) < 2 or nights[-1] != facts.number:
        return ()
    before = facts.environments.get(one.environment_of(nights[-2]), {})
    return environment_differences(before, facts.environments.get(one.environment_of(facts.number), {}))


def _change(facts: NightFacts, one: SeriesFacts, difference: EnvironmentDifference) -> EnvironmentChange:
    if difference.name not in _OF_MODEL:
        return EnvironmentChange(
            device=facts.device_name(one.key.device_id), device_id=one.key.device_id, difference=difference
        )
    named = EnvironmentDifference(
        name=f"{difference.name} of {one.key.model}", before=difference.before, after=difference.after
    )
    return EnvironmentChange(device="", device_id="", difference=named)
