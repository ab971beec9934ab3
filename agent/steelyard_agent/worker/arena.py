"""What the runtime's own allocator holds at most: read in a run of its own, since what tells it slows a model down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from steelyard_agent.worker.contract import LoadedModel, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure
from steelyard_agent.worker.opening import Bench, explained
from steelyard_agent.worker.records import Arena

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array


class ArenaModel(LoadedModel, Protocol):
    """A model whose runtime watches its allocator."""

    def arena(self) -> Arena:
        """End watching and return what was held at most over the calls so far."""
        ...


# What a runtime that can tell offers as ``load_for_arena``.
_Load = Callable[[Path, RuntimeOptions], ArenaModel]


def read_arena(bench: Bench, feeds: Mapping[str, Array]) -> Arena:
    """Return what the runtime's allocator held over two inferences, or why that is not known.

    A runtime that can tell offers ``load_for_arena``; another one may say why not in ``no_arena_because``.
    """
    runtime, block = bench.runtime, bench.block
    load: _Load | None = getattr(runtime, "load_for_arena", None)
    if load is None:
        because = getattr(runtime, "no_arena_because", f"runtime {runtime.name} does not tell what its allocator holds")
        return Arena(byte_count=None, source=because)
    if bench.options.arena is False:
        return Arena(byte_count=None, source="there is no arena: it was switched off (--no-arena)")
    if block.cache_folder:
        return Arena(byte_count=None, source="not read where models are compiled: that would compile it once more")
    try:
        model = load(Path(block.model_path), bench.options)
        call = model.bind(feeds)
        with explained(model):
            # The first run takes what is needed; the second one finds it there, as the timed ones do.
            call()
            call()
        return model.arena()
    except BlockFailure as failure:
        return Arena(byte_count=None, source=f"the run that reads the arena failed: {failure}")
