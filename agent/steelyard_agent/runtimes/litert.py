"""LiteRT (TensorFlow Lite) through ai-edge-litert: .tflite files, threads, delegates.

Providers: "XNNPACK" (the default, what the runtime applies by itself), "CPU" (built-in kernels without a delegate),
"delegate:/path/lib.so" for any external delegate, and the names of known delegate libraries.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard_agent.runtimes.litert_errors import explain_load, explain_run
from steelyard_agent.runtimes.litert_graph import is_wholly_delegated
from steelyard_agent.worker.contract import LoadedModel, ProviderProbe, ProviderSpec, RuntimeOptions, TensorSpec
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.shapes import check_feeds

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array

XNNPACK = "XNNPACK"
CPU = "CPU"
_BY_PATH = "delegate:"
# The names under which the vendors' installers put these libraries on the loader's path.
_KNOWN_LIBRARIES = {"EdgeTPU": "libedgetpu.so.1", "GPU": "libtensorflowlite_gpu_delegate.so"}


class LiteRt:
    """The adapter of the ai-edge-litert package."""

    name = "litert"
    suffixes = frozenset({".tflite"})

    def version(self) -> str:
        """Import the library and return its version."""
        _library()
        import ai_edge_litert

        return str(ai_edge_litert.__version__)

    def probe(self) -> tuple[ProviderProbe, ...]:
        """Return the CPU's two ways and the known delegates, those without their library with the loader's reason."""
        _library()
        delegates = (ProviderProbe(name=name, reason=_why_not(library)) for name, library in _KNOWN_LIBRARIES.items())
        return (ProviderProbe(name=XNNPACK), ProviderProbe(name=CPU), *delegates)

    def load(self, model_path: Path, options: RuntimeOptions) -> LoadedModel:
        """Create an interpreter and allocate its tensors; see the contract."""
        library = _library()
        _refuse_foreign_options(options)
        _refuse_other_files(model_path)
        wanted = options.providers[0].name if options.providers else ""
        resolver = library.OpResolverType
        try:
            interpreter = library.Interpreter(
                model_path=str(model_path),
                num_threads=options.intra_op_thread_count,
                experimental_delegates=[_delegate(library, spec) for spec in _external(options)] or None,
                experimental_op_resolver_type=(
                    resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES if wanted == CPU else resolver.AUTO
                ),
            )
            _resize(interpreter, options.input_shapes)
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise explain_load(error, model_path, self.version()) from error
        return _Interpreter(interpreter, _providers_used(interpreter, wanted, allow_fallback=options.allow_fallback))


class _Interpreter:
    """A loaded model; ``bind`` may be called again, and resizes tensors where the shapes differ."""

    notes: tuple[str, ...] = ()

    def __init__(self, interpreter: Any, providers: tuple[str, ...]) -> None:
        self._interpreter = interpreter
        self._input_details = interpreter.get_input_details()
        self._output_details = interpreter.get_output_details()
        self.inputs = tuple(_spec(detail) for detail in self._input_details)
        self.outputs = tuple(_spec(detail) for detail in self._output_details)
        self.providers = providers

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
        return explain_run(error)


def _library() -> Any:
    try:
        from ai_edge_litert import interpreter
    except ImportError as error:
        raise BlockFailure(
            BlockStatus.RUNTIME_MISSING,
            "no_litert",
            f"LiteRT cannot be imported here ({error}); pip install 'steelyard[litert]'",
        ) from error
    return interpreter


def _refuse_foreign_options(options: RuntimeOptions) -> None:
    foreign = {
        "inter_op_thread_count": options.inter_op_thread_count is not None,
        "graph_optimization": options.graph_optimization is not None,
        "spinning": options.spinning is not None,
        "arena": options.arena is not None,
        "options": bool(options.options),
    }
    if named := [name for name, is_set in foreign.items() if is_set]:
        raise BlockFailure(
            BlockStatus.USER_ERROR,
            "foreign_option",
            f"litert has no setting {named[0]!r}; leave it out for .tflite files",
        )


def _refuse_other_files(path: Path) -> None:
    """Refuse what is no flatbuffer of this schema before the runtime maps it."""
    with path.open("rb") as file:
        head = file.read(8)
    if head[4:] != b"TFL3":
        raise BlockFailure(
            BlockStatus.INVALID_MODEL,
            "invalid_model",
            f"{path.name} ({path.stat().st_size} bytes) is no .tflite model: the mark TFL3 is not at byte 4; "
            "export or copy it again",
        )


def _external(options: RuntimeOptions) -> list[ProviderSpec]:
    return [spec for spec in options.providers if spec.name not in (XNNPACK, CPU)]


def _delegate(library: Any, spec: ProviderSpec) -> Any:
    path = spec.name.removeprefix(_BY_PATH) if spec.name.startswith(_BY_PATH) else _KNOWN_LIBRARIES.get(spec.name)
    if path is None:
        known = ", ".join((XNNPACK, CPU, *_KNOWN_LIBRARIES))
        raise BlockFailure(
            BlockStatus.UNSUPPORTED,
            "provider_unavailable",
            f"litert knows no provider {spec.name!r}; it has {known}, and {_BY_PATH}/path/to/lib.so for any delegate",
        )
    if reason := _why_not(path):
        raise BlockFailure(
            BlockStatus.UNSUPPORTED, "provider_unavailable", f"the delegate {spec.name} cannot be loaded: {reason}"
        )
    return library.load_delegate(path, dict(spec.options))


def _why_not(library: str) -> str:
    """Return why a delegate's library cannot be used, "" when it can."""
    try:
        loaded = ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    if not hasattr(loaded, "tflite_plugin_create_delegate"):
        return f"{library} is no external delegate: it lacks tflite_plugin_create_delegate"
    return ""


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


def _providers_used(interpreter: Any, wanted: str, *, allow_fallback: bool) -> tuple[str, ...]:
    if wanted == CPU:
        return (CPU,)
    name = wanted or XNNPACK
    has_delegate, is_whole = is_wholly_delegated(interpreter)
    used = (name,) if is_whole else (name, CPU) if has_delegate else (CPU,)
    if wanted and used != (wanted,) and not allow_fallback:
        raise BlockFailure(
            BlockStatus.FALLBACK,
            "provider_fallback",
            f"{wanted} runs {'only part' if has_delegate else 'nothing'} of this model, the rest falls back to the "
            "built-in CPU kernels; --allow-fallback measures it all the same",
        )
    return used


def _spec(detail: Mapping[str, Any]) -> TensorSpec:
    import numpy as np

    # The signature holds -1 for a dynamic dimension; models without one say so by an empty signature.
    sizes = detail["shape_signature"].tolist() or detail["shape"].tolist()
    return TensorSpec(
        name=detail["name"],
        dtype=np.dtype(detail["dtype"]).name,
        shape=tuple("" if size < 0 else size for size in sizes),
    )
