"""A model in a TFLite interpreter: what ai-edge-litert and tflite-runtime have in common, which is nearly all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard_agent.runtimes.foreign_settings import refuse_foreign_settings
from steelyard_agent.runtimes.tflite_delegates import CPU, XNNPACK, load_delegates, named_providers
from steelyard_agent.runtimes.tflite_errors import explain_load, explain_run
from steelyard_agent.runtimes.tflite_file import is_tflite
from steelyard_agent.runtimes.tflite_graph import node_counts
from steelyard_agent.worker.contract import LoadedModel, RuntimeOptions, TensorSpec
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.shapes import check_feeds

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array

# What Interpreter offers of memory is each tensor's shape; tensors share places in the arena.
NO_ARENA = "the interpreter's Python interface does not tell the size of its arena"


def load_interpreter(
    library: Any, model_path: Path, options: RuntimeOptions, *, runtime_name: str, product: str
) -> LoadedModel:
    """Create an interpreter of ``library`` (the module that has Interpreter) and allocate its tensors.

    ``product`` is what sentences call the runtime: "LiteRT 2.3.0". See the contract for what is raised.
    """
    refuse_foreign_settings(options, runtime_name)
    wanted = named_providers(options.providers, runtime_name)
    _refuse_other_files(model_path)
    delegates = load_delegates(library, wanted)
    # Beside an external delegate XNNPACK would take what that one leaves, and no node says which of them runs it.
    takes_xnnpack = not wanted or any(spec.name == XNNPACK for spec in wanted)
    resolver = library.OpResolverType
    kernels = resolver.AUTO if takes_xnnpack else resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = library.Interpreter(
            model_path=str(model_path),
            num_threads=options.intra_op_thread_count,
            experimental_delegates=delegates or None,
            experimental_op_resolver_type=kernels,
        )
        _resize(interpreter, options.input_shapes)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise explain_load(error, model_path, product) from error
    names = [spec.name for spec in wanted if spec.name != CPU] or ([] if wanted else [XNNPACK])
    placements = _placements(interpreter, names)
    _refuse_fallback(placements, wanted[0].name if wanted else "", allow_fallback=options.allow_fallback)
    return _Interpreter(interpreter, placements, product)


class _Interpreter:
    """A loaded model; ``bind`` may be called again, and resizes tensors where the shapes differ."""

    notes: tuple[str, ...] = ()
    # No delegate is given a cache folder: LiteRT compiles nothing that a later process could load.
    loaded_from_cache: bool | None = None

    def __init__(self, interpreter: Any, placements: dict[str, int | None], product: str) -> None:
        self._interpreter = interpreter
        self._product = product
        self._input_details = interpreter.get_input_details()
        self._output_details = interpreter.get_output_details()
        self.inputs = tuple(_spec(detail) for detail in self._input_details)
        self.outputs = tuple(_spec(detail) for detail in self._output_details)
        self.providers = tuple(placements)
        self.placements = placements

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        check_feeds(self.inputs, feeds)
        shapes = {name: tuple(feed.shape) for name, feed in feeds.items()}
        _resize(self._interpreter, shapes)
        for detail in self._input_details:
            self._interpreter.set_tensor(detail["index"], feeds[detail["name"]])
        invoke: Callable[[], object] = _native(self._interpreter).Invoke
        return invoke

    def fetch(self) -> dict[str, Array]:
        return {detail["name"]: self._interpreter.get_tensor(detail["index"]) for detail in self._output_details}

    def explain(self, error: Exception) -> BlockFailure | None:
        return explain_run(error, self._product)


def _refuse_other_files(path: Path) -> None:
    """Refuse what is no flatbuffer of this schema before the runtime maps it."""
    if not is_tflite(path):
        raise BlockFailure(
            BlockStatus.INVALID_MODEL,
            "invalid_model",
            f"{path.name} ({path.stat().st_size} bytes) is no .tflite model: the mark TFL3 is not at byte 4; "
            "export or copy it again",
        )


def _native(interpreter: Any) -> Any:
    """Return the interpreter below its Python wrapper.

    The wrapper looks before every call whether anybody holds a view into a tensor, by counting references to this very
    object; a bound call that is timed would be counted as one.
    """
    return interpreter._interpreter  # noqa: SLF001


def _resize(interpreter: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Give inputs their shapes, and allocate all tensors anew where one changed."""
    import numpy as np

    native = _native(interpreter)
    changed = False
    for detail in interpreter.get_input_details():
        shape = shapes.get(detail["name"])
        if shape is not None and shape != tuple(detail["shape"].tolist()):
            native.ResizeInputTensor(detail["index"], np.array(shape, np.int32), False)
            changed = True
    if changed:
        native.AllocateTensors()


def _placements(interpreter: Any, names: list[str]) -> dict[str, int | None]:
    """Return the nodes by who runs them; ``names`` are the delegates that were applied.

    Nodes do not say which of several delegates took them: then each count of a delegate is None.
    """
    delegated, left = node_counts(interpreter)
    placements: dict[str, int | None] = {}
    if delegated:
        placements = {names[0]: delegated} if len(names) == 1 else dict.fromkeys(names)
    if left or not delegated:
        placements[CPU] = left
    return placements


def _refuse_fallback(placements: dict[str, int | None], wanted: str, *, allow_fallback: bool) -> None:
    """Refuse a model of which the first provider asked for runs not everything, unless that is allowed."""
    if not wanted or wanted == CPU or allow_fallback or set(placements) == {wanted}:
        return
    part = "only part" if wanted in placements else "nothing"
    rest = [name for name in placements if name != wanted]
    raise BlockFailure(
        BlockStatus.FALLBACK,
        "provider_fallback",
        f"{wanted} runs {part} of this model, the rest falls back to {', '.join(rest)}; "
        "--allow-fallback measures it all the same",
    )


def _spec(detail: Mapping[str, Any]) -> TensorSpec:
    import numpy as np

    # The signature holds -1 for a dynamic dimension; models without one say so by an empty signature.
    sizes = detail["shape_signature"].tolist() or detail["shape"].tolist()
    return TensorSpec(
        name=detail["name"],
        dtype=np.dtype(detail["dtype"]).name,
        shape=tuple("" if size < 0 else size for size in sizes),
    )
