"""Everything that plugins bring here, with what keeps any of it from being used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points

from steelyard.plugins.errors import PluginError
from steelyard.plugins.files import files_in_use
from steelyard.plugins.lookup import find, origin_of, own_kinds
from steelyard.plugins.origin import Origin
from steelyard.plugins.roles import ROLES, group_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One thing that a plugin brings; ``problem`` is "" where it can be used."""

    role: str
    kind: str
    origin: Origin
    summary: str = ""
    problem: str = ""


def listed_plugins() -> list[Listed]:
    """Return what plugins bring, by role and kind; all of them are imported."""
    return sorted(
        (*_of_files(), *_installed()), key=lambda one: (list(ROLES).index(one.role), one.kind, one.origin.name)
    )


def _of_files() -> Iterator[Listed]:
    for file in files_in_use():
        for role, classes in file.classes.items():
            for kind, found in classes.items():
                yield Listed(role=role, kind=kind, origin=file.origin, summary=_summary(found))


def _installed() -> Iterator[Listed]:
    for role, about in ROLES.items():
        for point in entry_points(group=group_of(role)):
            summary = problem = ""
            if point.name in own_kinds(role):
                problem = f"Steelyard has a {about.noun} {point.name!r} of its own, which is used; rename this one"
            else:
                try:
                    found = find(role, point.name)
                    summary = "" if found is None else _summary(found.made)
                except PluginError as error:
                    problem = str(error)
            yield Listed(role=role, kind=point.name, origin=origin_of(point), summary=summary, problem=problem)


def _summary(found: type) -> str:
    lines = (found.__doc__ or "").strip().splitlines()
    return lines[0] if lines else ""
