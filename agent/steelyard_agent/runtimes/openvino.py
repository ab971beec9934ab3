"""OpenVINO: .onnx, .tflite and its own .xml files, on its CPU, GPU and NPU devices.

Providers are OpenVINO's devices: "CPU" (the default), "GPU", "NPU", "AUTO" (OpenVINO chooses). With a fallback allowed
a device other than the CPU runs what it can and the CPU the rest (OpenVINO's HETERO), counted.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard_agent.runtimes.foreign_settings import refuse_foreign_settings
from steelyard_agent.runtimes.openvino_errors import explain_load, explain_run
from steelyard_agent.runtimes.openvino_profile import Counted, means_us, original_names, sum_up
from steelyard_agent.runtimes.provider_names import check_options, full_name, refuse_own_cache, refuse_unknown
from steelyard_agent.runtimes.tflite_file import is_tflite
from steelyard_agent.worker.contract import LoadedModel, ProviderProbe, RuntimeOptions, TensorSpec
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.profiled import NoProfileError, ProfiledModel
from steelyard_agent.worker.records import OperatorSum
from steelyard_agent.worker.shapes import check_feeds

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array

CPU = "CPU"
_AUTO = "AUTO"
_DEVICES = (CPU, "GPU", "NPU")
_PRECISION = "INFERENCE_PRECISION_HINT"
# Properties of the library itself, which no device lists as its own (openvino/runtime/properties.hpp).
_CORE_PROPERTIES = frozenset({"CACHE_DIR", "CACHE_MODE", "DEVICE_PROPERTIES"})
_CACHE_PROPERTIES = frozenset({"CACHE_DIR"})
_MISSING_LIBRARY = re.compile(r"(\S+\.so[.\d]*): cannot open shared object file")
_SOURCE = "https://docs.openvino.ai, runtime properties"


class OpenVino:
    """The adapter of the openvino package."""

    name = "openvino"
    suffixes = frozenset({".onnx", ".tflite", ".xml"})

    def version(self) -> str:
        """Import the library and return its version, without the build that follows a dash."""
        return str(_library().__version__).partition("-")[0]

    def probe(self) -> tuple[ProviderProbe, ...]:
        """Return OpenVINO's devices; those that are not here carry what its plugin says."""
        core = _library().Core()
        found = list(core.available_devices)
        absent = [ProviderProbe(name=name, reason=_why_not(core, name)) for name in _DEVICES if not _has(found, name)]
        # With several of a kind (GPU.0, GPU.1) the name of the kind is the first of them, and may be asked for too.
        kinds = [name for name in _DEVICES if _has(found, name) and name not in found]
        # The CPU first: it is what runs when no device is named.
        usable = sorted((*found, *kinds, _AUTO), key=lambda name: name != CPU)
        return (*(ProviderProbe(name=name, compiles=True) for name in usable), *absent)

    def load(self, model_path: Path, options: RuntimeOptions) -> LoadedModel:
        """Read and compile the model for its device; see the contract."""
        return self._load(model_path, options, {})

    def load_profiled(self, model_path: Path, options: RuntimeOptions) -> ProfiledModel:
        """Compile the model with performance counters; see the contract."""
        return self._load(model_path, options, {"PERF_COUNT": "YES"})

    def _load(self, model_path: Path, options: RuntimeOptions, further: dict[str, str]) -> _Compiled:
        refuse_foreign_settings(options, self.name, takes_options=True)
        library = _library()
        core = library.Core()
        device = _device(core, options)
        try:
            config = {**_configuration(core, device, options), **further}
            model = _read(core, model_path)
            if options.input_shapes:
                model.reshape({name: list(shape) for name, shape in options.input_shapes.items()})
            compiled = core.compile_model(model, device, config)
            placements = _placements(core, model, compiled, device)
            return _Compiled(library, model, compiled, placements, _notes(compiled, device, config))
        except RuntimeError as error:
            raise explain_load(error, model_path, self.version(), device) from error


class _Compiled:
    """A compiled model; ``bind`` may be called again for other inputs."""

    def __init__(
        self, library: Any, model: Any, compiled: Any, placements: dict[str, int | None], notes: tuple[str, ...]
    ) -> None:
        self._library = library
        self._compiled = compiled
        self._request: Any = None
        self._counted_before = Counted()
        # The model as it was read: compiling may merge tensors, and with them their names.
        self.inputs = tuple(_spec(port, index, "input") for index, port in enumerate(model.inputs))
        self.outputs = tuple(_spec(port, index, "output") for index, port in enumerate(model.outputs))
        self.placements = placements
        self.providers = tuple(placements)
        self.notes = notes

    @property
    def loaded_from_cache(self) -> bool | None:
        """What OpenVINO says of the device's blob; None for a plugin that does not say."""
        try:
            return bool(self._compiled.get_property("LOADED_FROM_CACHE"))
        except RuntimeError:
            return None

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        import numpy as np

        check_feeds(self.inputs, feeds)
        self._request = self._compiled.create_infer_request()
        # A tensor that shares an array's memory needs it contiguous and writable; both live as long as the request.
        self._kept = [np.require(feeds[spec.name], requirements=["C", "W"]) for spec in self.inputs]
        for index, feed in enumerate(self._kept):
            self._request.set_input_tensor(index, self._library.Tensor(feed, shared_memory=True))
        # Below the Python wrapper: no new inputs, and outputs as views into the request's own memory.
        native = self._library._pyopenvino.InferRequest.infer  # noqa: SLF001
        return partial(native, self._request, {}, True, False)

    def fetch(self) -> dict[str, Array]:
        return {
            spec.name: self._request.get_output_tensor(index).data.copy() for index, spec in enumerate(self.outputs)
        }

    def explain(self, error: Exception) -> BlockFailure | None:
        return explain_run(error)

    def begin(self, warm_call_count: int) -> None:
        self._counted_before = Counted(call_count=warm_call_count, mean_us=means_us(self._profile()))

    def operators(self, call_count: int) -> OperatorSum:
        return sum_up(
            self._profile(),
            origins=original_names(self._compiled),
            provider=", ".join(self.providers),
            before=self._counted_before,
            call_count=call_count,
        )

    def _profile(self) -> list[Any]:
        try:
            return list(self._request.get_profiling_info())
        except RuntimeError as error:
            raise NoProfileError(f"OpenVINO gives no profile here: {error}") from error


def _library() -> Any:
    try:
        with _without_converter():
            import openvino
    except ImportError as error:
        raise BlockFailure(
            BlockStatus.RUNTIME_MISSING,
            "no_openvino",
            f"OpenVINO cannot be imported here ({error}); pip install 'steelyard[openvino]', in another "
            "environment than the agent's pip install openvino",
        ) from error
    return openvino


@contextmanager
def _without_converter() -> Iterator[None]:
    """Keep the import from loading OpenVINO's model converter.

    Nothing of it is used here, its import counts as the runtime's, and it is what loads openvino_telemetry, which
    reports to its maker when a model is converted.
    """
    name = "openvino.tools.ovc"
    if "openvino" in sys.modules or name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def _has(found: list[str], name: str) -> bool:
    """Say whether a device is there: with several of a kind OpenVINO calls them GPU.0, GPU.1."""
    return any(one.partition(".")[0] == name for one in found)


def _why_not(core: Any, name: str) -> str:
    try:
        core.get_property(name, "FULL_DEVICE_NAME")
    except RuntimeError as error:
        if found := _MISSING_LIBRARY.search(str(error)):
            return f"no driver for it: {found[1]} is not here"
    return "no such device here, or no driver for it"


def _device(core: Any, options: RuntimeOptions) -> str:
    """Return OpenVINO's name for where the model is to run, several devices as HETERO."""
    found = list(core.available_devices)
    known = tuple(dict.fromkeys((*found, *_DEVICES, _AUTO)))
    names = []
    for spec in options.providers:
        name = full_name(spec.name, known)
        if name not in known:
            raise refuse_unknown(spec.name, (*found, _AUTO), "OpenVINO", known=known)
        if name != _AUTO and name not in found and not _has(found, name):
            raise BlockFailure(
                BlockStatus.UNSUPPORTED,
                "provider_unavailable",
                f"OpenVINO cannot use {name}: {_why_not(core, name)}; it has {', '.join((*found, _AUTO))}",
            )
        names.append(name)
    if not names or names[0] in {CPU, _AUTO} or not options.allow_fallback:
        return names[0] if names else CPU
    return "HETERO:" + ",".join(dict.fromkeys((*names, CPU)))


def _configuration(core: Any, device: str, options: RuntimeOptions) -> dict[str, str]:
    """Return the properties to compile with: one stream for latency, float32 unless it is said otherwise."""
    given = {**options.options, **{key: value for spec in options.providers for key, value in spec.options.items()}}
    # AUTO and HETERO hand on what is their devices' to know; the CPU is always one of them.
    asked = device.removeprefix("HETERO:").split(",") + ([CPU] if device == _AUTO else [])
    writable = {
        name
        for one in asked
        for name, access in core.get_property(one, "SUPPORTED_PROPERTIES").items()
        if access != "RO"
    }
    check_options(f"OpenVINO's {device}", given, writable | _CORE_PROPERTIES, source=_SOURCE)
    if options.cache_folder:
        refuse_own_cache(f"OpenVINO's {device}", given, _CACHE_PROPERTIES)
    config = {"PERFORMANCE_HINT": "LATENCY"}
    if options.cache_folder:
        config["CACHE_DIR"] = options.cache_folder
    if "NUM_STREAMS" in writable and "PERFORMANCE_HINT" not in given:
        config["NUM_STREAMS"] = "1"
    if options.intra_op_thread_count is not None and "INFERENCE_NUM_THREADS" in writable:
        config["INFERENCE_NUM_THREADS"] = str(options.intra_op_thread_count)
    # By itself OpenVINO computes a float32 model in bfloat16 where the processor can (AMX, avx512_bf16), and its
    # outputs move by percents: such a latency is that of another model.
    if _PRECISION in writable and "EXECUTION_MODE_HINT" not in given:
        config[_PRECISION] = "f32"
    return {**config, **given}


def _read(core: Any, path: Path) -> Any:
    if not is_tflite(path) or path.suffix.lower() == ".tflite":
        return core.read_model(str(path))
    # Its reader of .tflite goes by the file's name, and the agent names files by their digest.
    with tempfile.TemporaryDirectory(prefix="steelyard-") as folder:
        named = Path(folder, "model.tflite")
        named.symlink_to(path.absolute())
        return core.read_model(str(named))


def _placements(core: Any, model: Any, compiled: Any, device: str) -> dict[str, int | None]:
    """Return the nodes by device: as HETERO divides the model's ops, else all that the compiled graph runs."""
    if device.startswith("HETERO:"):
        counts: dict[str, int | None] = {}
        for name in core.query_model(model, device).values():
            counts[name] = (counts.get(name) or 0) + 1
        return counts
    # AUTO puts a device that it uses only until another is ready in parentheses.
    names = [str(name).strip("()") for name in compiled.get_property("EXECUTION_DEVICES")]
    if len(names) > 1:
        return dict.fromkeys(names)
    return {names[0]: _executed_nodes(compiled)}


def _executed_nodes(compiled: Any) -> int | None:
    try:
        ops = compiled.get_runtime_model().get_ops()
    except RuntimeError:
        # Not every plugin shows its graph.
        return None
    return sum(op.get_type_name() not in {"Parameter", "Result", "Constant"} for op in ops)


def _notes(compiled: Any, device: str, config: Mapping[str, str]) -> tuple[str, ...]:
    """Say in which precision it computes: what the device says, else what it was asked for."""
    if _PRECISION in compiled.get_property("SUPPORTED_PROPERTIES"):
        told = compiled.get_property(_PRECISION).get_type_name()
    else:
        told = config.get(_PRECISION, "")
    precision = f"OpenVINO computes in {told}" if told else f"{device} does not tell in which precision it computes"
    if device != _AUTO:
        return (precision,)
    chosen = ", ".join(str(name).strip("()") for name in compiled.get_property("EXECUTION_DEVICES"))
    return (f"AUTO chose {chosen}", precision)


def _spec(port: Any, index: int, kind: str) -> TensorSpec:
    import numpy as np

    # Its own name for a type that numpy has none for: to_dtype() passes bfloat16 off as float16.
    type_name = port.element_type.get_type_name()
    dtype = type_name if type_name in {"bf16", "u1", "u4", "i4", "nf4"} else np.dtype(port.element_type.to_dtype()).name
    sizes = port.get_partial_shape()
    return TensorSpec(
        name=port.get_any_name() if port.get_names() else f"{kind}{index}",
        dtype=dtype,
        shape=tuple("" if size.is_dynamic else size.get_length() for size in sizes),
    )
