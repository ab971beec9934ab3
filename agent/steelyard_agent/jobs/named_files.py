"""Files of the device that a plan names: a library of a delegate, a folder of a provider's option.

A controller may name what the device's owner installed. What came from a controller lies in the state directory, and a
library there would be a program of the controller's: plans never run such.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from steelyard_agent.jobs.errors import InvalidPlanError
from steelyard_protocol.v1.plan_pb2 import Plan, RuntimeSpec

_DELEGATE = "delegate:"
# How options list several files, and how they say what a file is for.
_BETWEEN_FILES = re.compile(r"[;,:|=\s]+")


def refuse_own_files(plan: Plan, state_root: Path) -> None:
    """Refuse a plan whose runtimes name a file below the state directory, by whatever way.

    Raises:
        InvalidPlanError: The sentence names the text.
    """
    artifacts = (artifact.runtime for artifact in plan.artifacts)
    for runtime in (*artifacts, *(model.runtime for model in plan.roofline.models)):
        for text in _texts(runtime):
            if any(_is_below(path, state_root) for path in _paths(text)):
                raise InvalidPlanError(
                    f"the plan cannot be run: {text[:120]!r} leads into the agent's own folder, where what controllers "
                    "sent lies, and is no place for libraries; install it on the device, and name its whole path"
                )


def _texts(runtime: RuntimeSpec) -> Iterator[str]:
    for provider in runtime.providers:
        yield provider.name.removeprefix(_DELEGATE)
        yield from provider.options.values()
    yield from runtime.options.values()


def _paths(text: str) -> Iterator[Path]:
    """Yield what a text may name: itself, and its parts where it is a list."""
    # NUL ends a path for the loader.
    whole = text.partition("\0")[0]
    if whole.startswith("/"):
        yield Path(whole)
    yield from (Path(part) for part in _BETWEEN_FILES.split(whole) if "/" in part)


def _is_below(path: Path, root: Path) -> bool:
    # Workers run in a folder below the root, and from there such a path leads anywhere.
    if not path.is_absolute():
        return True
    found = Path(os.path.realpath(path))
    # By what the folders are, not by their names: there may be several ways into one.
    return any(_is_same(folder, root) for folder in (found, *found.parents))


def _is_same(folder: Path, root: Path) -> bool:
    try:
        return folder.samefile(root)
    except OSError:
        return False
