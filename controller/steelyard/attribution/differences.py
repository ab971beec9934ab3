"""Differences of two environments, and what each is a change of."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from steelyard.nightly.night_findings import Cause, EnvironmentDifference

_DIGEST_CHARACTERS = 12


class Kind(Enum):
    """What a difference is a change of."""

    MODEL = "model"
    RECIPE = "recipe"
    RUNTIME = "runtime"
    BOARD = "board"
    OS = "os"
    KERNEL = "kernel"
    FIRMWARE = "firmware"
    DRIVER = "driver"
    GOVERNOR = "governor"
    AGENT = "agent"
    TASK = "task"
    OTHER = "other"


# Names of entries, as steelyard.nightly.environment writes them; others by their first word ("driver_cuda").
_KINDS = {
    "artifact": Kind.MODEL,
    "parent": Kind.MODEL,
    "recipe": Kind.RECIPE,
    "tools": Kind.RECIPE,
    "models": Kind.RECIPE,
    "runtime": Kind.RUNTIME,
    "providers": Kind.RUNTIME,
    "threads": Kind.RUNTIME,
    "board": Kind.BOARD,
    "processor": Kind.BOARD,
    "memory": Kind.BOARD,
    "os": Kind.OS,
    "android": Kind.OS,
    "python": Kind.OS,
    "kernel": Kind.KERNEL,
    "firmware": Kind.FIRMWARE,
    "driver": Kind.DRIVER,
    "governor": Kind.GOVERNOR,
    "power": Kind.GOVERNOR,
    "frequency": Kind.GOVERNOR,
    "allowed": Kind.GOVERNOR,
    "agent": Kind.AGENT,
    "task": Kind.TASK,
}
_CAUSES = {
    Kind.MODEL: Cause.MODEL,
    Kind.RECIPE: Cause.MODEL,
    Kind.RUNTIME: Cause.RUNTIME,
    Kind.BOARD: Cause.BOARD,
}
_DIGESTS = frozenset({"artifact", "parent"})
# The order in which they are told: what is most often the cause first.
_ORDER = list(Kind)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[EnvironmentDifference, ...]:
    """Return the entries that differ, by kind; one that is only in one of them is None in the other."""
    names = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    return tuple(
        EnvironmentDifference(name=name, before=before.get(name), after=after.get(name))
        for name in sorted(names, key=lambda name: (_ORDER.index(kind_of(name)), name))
    )


def kind_of(name: str) -> Kind:
    """Return what an entry of an environment is about."""
    return _KINDS.get(name) or _KINDS.get(name.partition("_")[0], Kind.OTHER)


def cause_of(difference: EnvironmentDifference) -> Cause:
    """Return the cause that a difference would be."""
    return _CAUSES.get(kind_of(difference.name), Cause.ENVIRONMENT)


def words_of(difference: EnvironmentDifference) -> str:
    """Return "runtime version 1.19.2 -> 1.20.0"; digests are cut to 12 characters."""
    before, after = (_value(difference.name, one) for one in (difference.before, difference.after))
    return f"{difference.name.replace('_', ' ')} {before} -> {after}"


def _value(name: str, value: str | None) -> str:
    if value is None:
        return "not there"
    return value[:_DIGEST_CHARACTERS] if name in _DIGESTS else value
