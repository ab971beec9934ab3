"""Find what plugins bring by role and kind; one is imported when it is asked for: a broken one harms no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from steelyard.errors import first_line
from steelyard.plugins.checking import contract_problem
from steelyard.plugins.errors import PluginError
from steelyard.plugins.files import files_in_use
from steelyard.plugins.guarding import guarded
from steelyard.plugins.origin import Origin, package_sha256
from steelyard.plugins.roles import IMPORTANCES, METRICS, ROLES, STEPS, group_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a plugin brings: the class with its failures told in sentences, and where it came from."""

    made: Any
    origin: Origin


def find(role: str, kind: str) -> Found | None:
    """Return what a plugin brings of this kind, None where none does; files in use come first.

    Raises:
        PluginError: broken_plugin, bad_plugin, or plugin_conflict.
    """
    for file in files_in_use():
        if kind in file.classes.get(role, {}):
            return Found(made=guarded(role, file.classes[role][kind], file.origin), origin=file.origin)
    points = list(entry_points(group=group_of(role), name=kind))
    if not points:
        return None
    if len(points) > 1:
        names = " and ".join(sorted(_told(point) for point in points))
        raise PluginError(
            "plugin_conflict", f"{names} both bring the {ROLES[role].noun} {kind!r}; uninstall one of them"
        )
    return _loaded(role, points[0])


def kinds(role: str) -> tuple[str, ...]:
    """Return the kinds that plugins bring, sorted, without importing an installed one."""
    in_files = {kind for file in files_in_use() for kind in file.classes.get(role, {})}
    return tuple(sorted(in_files | set(installed_kinds(role))))


def origin_text(role: str, kind: str) -> str:
    """Return "NAME VERSION SHA256" of the plugin that a kind comes from; "" for one of ours.

    Raises:
        PluginError: the plugin cannot be used.
    """
    if kind in own_kinds(role):
        return ""
    found = find(role, kind)
    return "" if found is None else found.origin.text


def installed_kinds(role: str) -> Mapping[str, tuple[str, ...]]:
    """Return the kinds of installed plugins with the plugins that bring them: "NAME VERSION"."""
    named: dict[str, tuple[str, ...]] = {}
    for point in entry_points(group=group_of(role)):
        named[point.name] = (*named.get(point.name, ()), _told(point))
    return named


def own_kinds(role: str) -> tuple[str, ...]:
    """Return the kinds that come with Steelyard, which no plugin may take."""
    if role == STEPS:
        from steelyard.compress.registry import step_kinds

        return step_kinds()
    if role == METRICS:
        from steelyard.tasks.metrics.registry import metric_kinds

        return metric_kinds()
    if role == IMPORTANCES:
        from steelyard.train.prune.importances import KINDS

        return KINDS
    return ()


def _loaded(role: str, point: EntryPoint) -> Found:
    try:
        found = point.load()
    except (Exception, SystemExit) as error:
        raise PluginError(
            "broken_plugin",
            f"the plugin {_told(point)} ({point.value}) cannot be imported ({type(error).__name__}: "
            f"{first_line(error)}); repair or uninstall it",
        ) from error
    problem = contract_problem(role, point.name, found)
    if problem:
        raise PluginError(
            "bad_plugin", f"{ROLES[role].noun} {point.value} of the plugin {_told(point)} {problem} (docs/plugins.md)"
        )
    origin = origin_of(point)
    return Found(made=guarded(role, found, origin), origin=origin)


def origin_of(point: EntryPoint) -> Origin:
    """Return where an installed plugin came from; its sources are read, not run."""
    name, version = _name_and_version(point)
    return Origin(name=name, version=version, sha256=package_sha256(point.module), where=point.value)


def _told(point: EntryPoint) -> str:
    return " ".join(_name_and_version(point))


def _name_and_version(point: EntryPoint) -> tuple[str, str]:
    if point.dist is None:
        return point.module, "0"
    return point.dist.metadata["Name"] or point.module, point.dist.version or "0"
