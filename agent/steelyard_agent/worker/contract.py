"""The contract of a runtime: what an adapter must offer so that the worker can measure with it.

A runtime is one class, found by its entry point in the group ``steelyard_agent.runtimes``. Adapters import their
library inside their methods, never at the top of the file, and raise ``BlockFailure`` for everything that a user can
understand. ``tests/contracts/test_runtime_contract.py`` runs the same tests over every adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from steelyard_agent.worker.failure import BlockFailure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Name, numpy dtype name and shape of an input or output; a dynamic dimension is its name, "" when it has none."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """An execution provider or delegate with its options.

    Case does not matter in its name, and ONNX Runtime's "ExecutionProvider" may be left out: "cuda".
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeOptions:
    """How to load a model; None leaves the runtime's own default, which the result then names.

    ``graph_optimization`` is "disabled", "basic", "extended" or "all". ``input_shapes`` gives sizes to dynamic inputs.
    ``cache_folder`` is an existing folder where a provider that compiles keeps what it made, "" for nowhere.
    """

    providers: tuple[ProviderSpec, ...] = ()
    intra_op_thread_count: int | None = None
    inter_op_thread_count: int | None = None
    graph_optimization: str | None = None
    spinning: bool | None = None
    arena: bool | None = None
    allow_fallback: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    cache_folder: str = ""

    def __post_init__(self) -> None:
        """Refuse what no runtime could mean."""
        if self.graph_optimization not in (None, "disabled", "basic", "extended", "all"):
            raise ValueError(
                f"graph_optimization is {self.graph_optimization!r}; it is disabled, basic, extended or all"
            )
        for name in ("intra_op_thread_count", "inter_op_thread_count"):
            if (count := getattr(self, name)) is not None and count < 1:
                raise ValueError(f"{name} is {count}; leave it out for the runtime's own default")
        for name, shape in self.input_shapes.items():
            if any(size < 1 for size in shape):
                raise ValueError(f"input_shapes[{name!r}] is {shape}; every size is 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderProbe:
    """A provider that this installation knows; ``reason`` says why it cannot be used, "" when it can.

    ``compiles``: it compiles a model when it is loaded, and keeps what it made in ``RuntimeOptions.cache_folder``.
    """

    name: str
    reason: str = ""
    compiles: bool = False


class LoadedModel(Protocol):
    """A model that is ready to run. Inputs are bound once; ``run`` is what gets timed and allocates nothing of ours."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    # The providers or delegates that the runtime says it uses, in order of preference.
    providers: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def loaded_from_cache(self) -> bool | None:
        """Whether what an earlier load compiled was taken from the cache folder; None where the runtime is silent."""
        ...

    @property
    def placements(self) -> Mapping[str, int | None]:
        """How many nodes each of the providers runs, in the same order; None where the runtime does not tell."""
        ...

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Bind inputs (and preallocated outputs where shapes are known) and return the call that runs once.

        Raises:
            BlockFailure: USER_ERROR when names, dtypes or shapes do not fit the model.
        """
        ...

    def fetch(self) -> dict[str, Array]:
        """Return the outputs of the last run as arrays, by output name, in the model's order."""
        ...

    def explain(self, error: Exception) -> BlockFailure | None:
        """Say what an exception of the bound call means; None when it is not the runtime's."""
        ...


class Runtime(Protocol):
    """A way to run models. Created once in a worker."""

    name: str
    # File suffixes that it runs: {".onnx"}.
    suffixes: frozenset[str]

    def version(self) -> str:
        """Import the library and return its version.

        Raises:
            BlockFailure: RUNTIME_MISSING, with the pip line that installs it.
        """
        ...

    def probe(self) -> tuple[ProviderProbe, ...]:
        """Return every provider or delegate that this installation knows, usable or not.

        The first usable one is what runs when none is named.
        """
        ...

    def load(self, model_path: Path, options: RuntimeOptions) -> LoadedModel:
        """Load a model.

        Raises:
            BlockFailure: INVALID_MODEL, UNSUPPORTED, FALLBACK, RUNTIME_MISSING or USER_ERROR.
        """
        ...
