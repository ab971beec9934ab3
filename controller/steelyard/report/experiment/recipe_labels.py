"""What recipes of one experiment are called in its tables: without the settings that all of their steps share."""

from __future__ import annotations

from collections.abc import Sequence

# Names up to here need no shortening.
_SHORT = 24


def recipe_labels(names: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return a label for each name, and the settings that were left out of all of them: "epochs=1".

    A setting is left out where every step of every recipe has it and the labels still differ; short names stay whole.
    """
    steps = [one.split("+") for one in names]
    shared = set.intersection(*(set(step.split(",")[1:]) for one in steps for step in one)) if names else set()
    labels = ["+".join(_without(step, shared) for step in one) for one in steps]
    if max(map(len, names), default=0) <= _SHORT or not shared or len(set(labels)) < len(set(names)):
        return list(names), ()
    return labels, tuple(one for one in names[0].split("+")[0].split(",") if one in shared)


def _without(step: str, shared: set[str]) -> str:
    kind, *settings = step.split(",")
    return ",".join([kind, *(one for one in settings if one not in shared)])
