"""Finds a runtime by its name or by a model's file name. Imports an adapter's module, never its library."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from steelyard_agent.worker.contract import Runtime
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

ENTRY_POINT_GROUP = "steelyard_agent.runtimes"

# The adapters that come with the agent are found without reading the metadata of every installed package, and in an
# interpreter that this distribution is not installed in. A test keeps this equal to pyproject.toml.
BUILT_IN = {
    "onnxruntime": "steelyard_agent.runtimes.onnxruntime:OnnxRuntime",
    "litert": "steelyard_agent.runtimes.litert:LiteRt",
    "openvino": "steelyard_agent.runtimes.openvino:OpenVino",
    "tflite-runtime": "steelyard_agent.runtimes.tflite_runtime:TfliteRuntime",
}


def runtime_names() -> tuple[str, ...]:
    """Return the names of all runtimes that an adapter is installed for: built in first, then by name."""
    return (*BUILT_IN, *sorted(name for name in _plugins() if name not in BUILT_IN))


def find_runtime(name: str) -> Runtime:
    """Return a new adapter.

    Raises:
        BlockFailure: RUNTIME_MISSING with the names that are known, or when a plugin cannot be imported.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        built_in: Runtime = getattr(import_module(module), attribute)()
        return built_in
    plugin = _plugins().get(name)
    if plugin is None:
        raise BlockFailure(
            BlockStatus.RUNTIME_MISSING,
            "unknown_runtime",
            f"no runtime is called {name!r}; known here: {', '.join(runtime_names())}",
        )
    try:
        made: Runtime = plugin.load()()
    except (ImportError, AttributeError) as error:
        raise BlockFailure(
            BlockStatus.RUNTIME_MISSING,
            "broken_plugin",
            f"runtime {name!r} ({plugin.value}) cannot be imported: {error}",
        ) from error
    return made


def runtime_name_for_file(path: Path) -> str:
    """Return the name of the first runtime that runs files with this suffix, in the order of ``runtime_names``.

    Whether it is installed is not asked: another runtime than the usual one is measured only when it is named.

    Raises:
        BlockFailure: USER_ERROR with the suffixes that are known.
    """
    known: list[str] = []
    for name in runtime_names():
        suffixes = find_runtime(name).suffixes
        if path.suffix.lower() in suffixes:
            return name
        known += sorted(suffixes)
    raise BlockFailure(
        BlockStatus.USER_ERROR,
        "unknown_suffix",
        f"{path.name!r} does not end like a model of a known runtime ({', '.join(known)}); name the runtime",
    )


def _plugins() -> dict[str, EntryPoint]:
    return {found.name: found for found in entry_points(group=ENTRY_POINT_GROUP) if found.name not in BUILT_IN}
