"""Files that a suite names and that are not there: errors of a check, gaps of a night."""

from __future__ import annotations

from pathlib import Path

from steelyard.suites.errors import Problem
from steelyard.suites.suite import ModelSlot, Suite


def missing_files(suite: Suite) -> tuple[Problem, ...]:
    """Return a problem for each file and folder of the suite that is not there."""
    found = [
        Problem(place=f"[[model]] {slot.name}", sentence=reason)
        for slot in suite.models
        if (reason := missing_source(slot))
    ]
    found += [
        Problem(place=f"[[task]] {task.name}", sentence=f"there is no file {task.file}; check the path")
        for task in suite.tasks
        if not task.file.is_file()
    ]
    sentinel = Path(suite.sentinel)
    if sentinel.is_absolute() and not sentinel.is_file():
        found.append(
            Problem(
                place="[suite] sentinel",
                sentence=f'there is no file {sentinel}; write "built-in", "none" or a model\'s file',
            )
        )
    return tuple(found)


def missing_source(slot: ModelSlot) -> str:
    """Return what a model lacks, "" for nothing: its file, a folder with anything that matches, its recipe's file."""
    if slot.file is not None and not slot.file.is_file():
        return f"there is no file {slot.file}; check the path"
    if slot.registry is not None and newest_of(slot.registry, slot.newest) is None:
        if not slot.registry.is_dir():
            return f"there is no folder {slot.registry}; check the path"
        return f"nothing in {slot.registry} matches {slot.newest!r}"
    if slot.recipe.endswith(".toml") and not Path(slot.recipe).is_file():
        return f"there is no recipe {slot.recipe}; check the path"
    return ""


def newest_of(registry: Path, pattern: str) -> Path | None:
    """Return the file of a folder that was written last among those that match, the last name among equals."""
    files = [one for one in registry.glob(pattern) if one.is_file()]
    return max(files, key=lambda one: (one.stat().st_mtime_ns, one.name), default=None)
