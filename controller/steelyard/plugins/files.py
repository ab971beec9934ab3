"""Plugins in a file that a person names: read once, run as it was read, in use for a program or for one request.

A file lists what it brings: ``STEELYARD_PLUGIN = {"steps": [ClipWeights], "metrics": [MacroRecall]}``.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from steelyard.errors import first_line
from steelyard.plugins.checking import contract_problem
from steelyard.plugins.errors import PluginError
from steelyard.plugins.origin import Origin
from steelyard.plugins.roles import ROLES
from steelyard.spelling import first_unknown, meant

LISTED = "STEELYARD_PLUGIN"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PluginFile:
    """A file that was read: where, what it is called in lineage, and its classes by role and kind."""

    path: Path
    origin: Origin
    classes: Mapping[str, Mapping[str, type]]


# What was read, by path and digest: the classes of one content are the same ones, however often they are asked for.
_READ: dict[tuple[Path, str], PluginFile] = {}
# In use for the whole program: what the command line names.
_IN_PROGRAM: list[PluginFile] = []
# In use for one request of a controller that serves several people.
_IN_REQUEST: ContextVar[tuple[PluginFile, ...]] = ContextVar("plugin files", default=())


def use_file(path: Path | str) -> PluginFile:
    """Read a plugin file and use it for the rest of this program, in place of what was read from it before.

    Raises:
        PluginError: it cannot be read or run, keeps no contract, or takes a name that is taken.
    """
    found = read_file(path)
    others = [one for one in files_in_use() if one.path != found.path]
    _refuse_taken(found, others)
    _IN_PROGRAM[:] = [one for one in _IN_PROGRAM if one.path != found.path] + [found]
    return found


def forget_file(found: PluginFile) -> None:
    """Use a file no longer."""
    _IN_PROGRAM[:] = [one for one in _IN_PROGRAM if one is not found]


@contextmanager
def plugin_files(paths: Iterable[Path | str]) -> Iterator[None]:
    """Use these files inside, in this thread or task alone; they come before those of the program.

    Raises:
        PluginError: as ``use_file``.
    """
    files: list[PluginFile] = []
    for path in paths:
        found = read_file(path)
        _refuse_taken(found, files)
        files.append(found)
    token = _IN_REQUEST.set(tuple(files))
    try:
        yield
    finally:
        _IN_REQUEST.reset(token)


def files_in_use() -> tuple[PluginFile, ...]:
    """Return the files in use here, those that come first first."""
    asked = _IN_REQUEST.get()
    paths = {one.path for one in asked}
    return (*asked, *(one for one in _IN_PROGRAM if one.path not in paths))


def paths_in_use() -> tuple[str, ...]:
    """Return where the files in use are, absolute."""
    return tuple(str(one.path) for one in files_in_use())


def read_file(path: Path | str) -> PluginFile:
    """Return what a plugin file brings; what was hashed is what runs.

    Raises:
        PluginError: plugin_not_found, broken_plugin or bad_plugin.
    """
    place = Path(path).expanduser().absolute()
    try:
        if not place.is_file():
            raise PluginError("plugin_not_found", f"there is no plugin file {place}; check the path")
        content = place.read_bytes()
    except OSError as error:
        raise PluginError("plugin_not_found", f"the plugin {place} cannot be read ({error}); check it") from error
    digest = hashlib.sha256(content).hexdigest()
    key = (place, digest)
    if key not in _READ:
        module = _run(place, content, digest)
        version = str(getattr(module, "__version__", "0"))
        name = place.name.replace(" ", "_")
        origin = Origin(name=name, version=version.replace(" ", "_"), sha256=digest, where=str(place))
        _READ[key] = PluginFile(path=place, origin=origin, classes=_classes(module, place))
    return _READ[key]


def _run(path: Path, content: bytes, digest: str) -> ModuleType:
    # Under a name of its own in sys.modules, which dataclasses look their module up in.
    module = ModuleType(f"steelyard_plugin_{path.stem}_{digest[:12]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(content, str(path), "exec", dont_inherit=True), module.__dict__)  # noqa: S102  (the user's own file)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise PluginError(
            "broken_plugin",
            f"the plugin {path} cannot be imported ({type(error).__name__}: {first_line(error)}); run it with python "
            "to see where",
        ) from error
    return module


def _classes(module: ModuleType, path: Path) -> dict[str, dict[str, type]]:
    listed = getattr(module, LISTED, None)
    if not isinstance(listed, Mapping) or not listed:
        raise PluginError(
            "bad_plugin", f'the plugin {path} lists nothing; write {LISTED} = {{"steps": [MyStep]}} at its end'
        )
    unknown = first_unknown([str(role) for role in listed], tuple(ROLES))
    if unknown is not None:
        raise PluginError("bad_plugin", f"the plugin {path} lists {unknown!r}; {meant(unknown, tuple(ROLES))}")
    return {str(role): _of_role(str(role), found, path) for role, found in listed.items()}


def _of_role(role: str, listed: Any, path: Path) -> dict[str, type]:
    if not isinstance(listed, list | tuple):
        raise PluginError("bad_plugin", f"the plugin {path} lists {role} as {listed!r}; write a list of classes")
    classes: dict[str, type] = {}
    for found in listed:
        kind = getattr(found, "kind", None)
        problem = contract_problem(role, kind, found) or ("is listed twice" if kind in classes else "")
        if problem:
            name = getattr(found, "__name__", repr(found))
            raise PluginError(
                "bad_plugin", f"{ROLES[role].noun} {name} of the plugin {path} {problem} (docs/plugins.md)"
            )
        classes[str(kind)] = found
    return classes


def _refuse_taken(found: PluginFile, others: Iterable[PluginFile]) -> None:
    from steelyard.plugins.lookup import installed_kinds, own_kinds

    for role, classes in found.classes.items():
        takers = dict.fromkeys(own_kinds(role), "Steelyard")
        takers |= {kind: f"the plugin {names[0]}" for kind, names in installed_kinds(role).items()}
        for other in others:
            takers |= dict.fromkeys(other.classes.get(role, {}), f"the plugin {other.path}")
        for kind in classes:
            if kind in takers:
                raise PluginError(
                    "plugin_name_taken",
                    f"the {ROLES[role].noun} {kind!r} of the plugin {found.path} has a name that {takers[kind]} has; "
                    "give it another kind",
                )
