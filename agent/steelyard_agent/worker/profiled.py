"""The optional part of the contract of a runtime: loading a model with the runtime's own profiler on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from steelyard_agent.worker.contract import LoadedModel, Runtime, RuntimeOptions
from steelyard_agent.worker.records import OperatorSum


class NoProfileError(Exception):
    """The runtime, this version of it or a provider has no profiler that can be read; the text says why, to people."""


class ProfiledModel(LoadedModel, Protocol):
    """A model that was loaded with the runtime's profiler on."""

    def begin(self, warm_call_count: int) -> None:
        """Leave out what was profiled so far: ``warm_call_count`` calls of the bound call, to warm up."""
        ...

    def operators(self, call_count: int) -> OperatorSum:
        """End profiling and return the operators of the ``call_count`` calls since ``begin``, as they run in order.

        Of the calls it is the quieter half (``records.quieter_half``) where the profiler keeps calls apart, else all.
        Times are those of the kernels alone, and no time is in two operators: what contains others counts without
        them.

        Raises:
            NoProfileError: the profiler left nothing that can be read.
        """
        ...


class ProfilingRuntime(Runtime, Protocol):
    """A runtime with a profiler. One without leaves ``load_profiled`` out and may say why in ``no_profile_because``."""

    def load_profiled(self, model_path: Path, options: RuntimeOptions) -> ProfiledModel:
        """Load a model with the profiler on; files that it needs are written to a temporary folder.

        Raises:
            BlockFailure: as for ``load``.
            NoProfileError: why this version or provider cannot be profiled.
        """
        ...


def load_profiled(runtime: Runtime, model_path: Path, options: RuntimeOptions) -> ProfiledModel:
    """Load a model with the runtime's profiler on.

    Raises:
        BlockFailure: as for ``Runtime.load``.
        NoProfileError: the runtime has none.
    """
    load: Callable[[Path, RuntimeOptions], ProfiledModel] | None = getattr(runtime, "load_profiled", None)
    if load is None:
        because = getattr(runtime, "no_profile_because", f"runtime {runtime.name} offers no profile of its operators")
        raise NoProfileError(because)
    return load(model_path, options)
