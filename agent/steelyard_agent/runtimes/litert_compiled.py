"""A model in LiteRT's CompiledModel, with its profiler on.

The Interpreter of the Python package, which blocks are timed with, has no profiler. The C interface of the library in
the same package has one (litert/c/litert_profiler.h, litert/c/litert_compiled_model.h): it runs the same kernels and
the same XNNPACK. Its structures are those of 2.3; other versions are not asked, since a wrong one ends the process.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard_agent.runtimes.litert_profile import Event, sum_up
from steelyard_agent.runtimes.tflite_errors import explain_load, explain_run
from steelyard_agent.worker.contract import LoadedModel
from steelyard_agent.worker.failure import BlockFailure
from steelyard_agent.worker.profiled import NoProfileError
from steelyard_agent.worker.records import OperatorSum
from steelyard_agent.worker.shapes import check_feeds

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array

KNOWN_VERSION = "2.3."
_ON_CPU = 1
_LOCK_WRITE = 1
# Events are 13 words of 8 bytes: tag, kind, start, elapsed, memory before and after (3 each), two of metadata, source.
_WORDS = 13
_TAG, _KIND, _ELAPSED_US, _NODE = 0, 1, 3, 10
_KINDS = frozenset(1 << bit for bit in range(9))
_MOST_RANK = 8
_Pointer = ctypes.c_void_p
_Free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Layout(ctypes.Structure):
    _fields_ = (
        # The lowest seven bits; the eighth says whether there are strides.
        ("rank", ctypes.c_uint32),
        ("sizes", ctypes.c_int32 * _MOST_RANK),
        ("strides", ctypes.c_uint32 * _MOST_RANK),
    )


class _TensorType(ctypes.Structure):
    _fields_ = (("element", ctypes.c_int32), ("layout", _Layout))


class _Api:
    """The functions of libLiteRt that are called here; each returns a status, 0 for success."""

    def __init__(self, path: Path) -> None:
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            raise NoProfileError(f"LiteRT's profiler is in {path.name}, which cannot be loaded: {error}") from error

    def call(self, name: str, *arguments: object) -> None:
        """Call a function.

        Raises:
            RuntimeError: it is not there, or did not succeed.
        """
        try:
            function = getattr(self._library, f"LiteRt{name}")
        except AttributeError as error:
            raise RuntimeError(f"this LiteRT lacks {name}") from error
        function.restype = ctypes.c_int
        if (status := function(*arguments)) != 0:
            raise RuntimeError(f"LiteRT's {name} ended with status {status}")

    def made(self, name: str, *arguments: object) -> ctypes.c_void_p:
        """Call a function whose last argument is where it puts what it made."""
        made = _Pointer()
        self.call(name, *arguments, ctypes.byref(made))
        return made

    def number(self, name: str, *arguments: object) -> int:
        """Call a function whose last argument is where it puts a size."""
        number = ctypes.c_size_t()
        self.call(name, *arguments, ctypes.byref(number))
        return number.value


class ProfiledLiteRt:
    """A compiled model with its profiler; a worker makes one and ends, so that nothing is given back.

    ``model`` is the same model in the Interpreter: its signature, and where its nodes run.
    """

    loaded_from_cache: bool | None = None

    def __init__(
        self,
        library_path: Path,
        model_path: Path,
        model: LoadedModel,
        *,
        thread_count: int,
        builtin: bool,
        product: str,
    ) -> None:
        self.inputs, self.outputs = model.inputs, model.outputs
        self.providers, self.placements, self.notes = model.providers, dict(model.placements), model.notes
        self._product = product
        self._api = _Api(library_path)
        # The library keeps pointers to the options' texts and to what frees them.
        self._kept: list[object] = []
        # Of the inputs that were resized.
        self._sizes: dict[str, tuple[int, ...]] = {}
        try:
            self._create(model_path, {"num_threads": thread_count, "kernel_mode": 2 if builtin else 0})
        except RuntimeError as error:
            raise explain_load(error, model_path, product) from error

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        """Copy inputs into buffers of LiteRT's, and return the call; see the contract."""
        check_feeds(self.inputs, feeds)
        signature = self._api.made("GetModelSignature", self._model, ctypes.c_size_t(0))
        given = self._input_buffers(signature, feeds)
        made = self._output_buffers(signature)
        arguments = (self._compiled, ctypes.c_size_t(0), ctypes.c_size_t(len(given)), given)
        return lambda: self._api.call("RunCompiledModel", *arguments, ctypes.c_size_t(len(made)), made)

    def fetch(self) -> dict[str, Array]:
        """Return copies of the outputs; see the contract."""
        import numpy as np

        arrays: dict[str, Array] = {}
        for name, (buffer, kind) in self._outputs_by_name.items():
            dtype = next(np.dtype(spec.dtype) for spec in self.outputs if spec.name == name)
            shape = tuple(kind.layout.sizes[: kind.layout.rank & 0x7F])
            array = np.empty(shape, dtype)
            ctypes.memmove(array.ctypes.data, self._lock(buffer, 0), array.nbytes)
            self._api.call("UnlockTensorBuffer", buffer)
            arrays[name] = array
        return {spec.name: arrays[spec.name] for spec in self.outputs}

    def explain(self, error: Exception) -> BlockFailure | None:
        """Say what a failed call means; see the contract."""
        return explain_run(error, self._product)

    def begin(self, warm_call_count: int) -> None:
        """Forget the warm-up's events; see the contract."""
        self._api.call("StopProfiler", self._profiler)
        self._api.call("ResetProfiler", self._profiler)
        self._api.call("StartProfiler", self._profiler)

    def operators(self, call_count: int) -> OperatorSum:
        """Sum up the events; see the contract."""
        try:
            self._api.call("StopProfiler", self._profiler)
            return sum_up(self._events(), call_count)
        except RuntimeError as error:
            raise NoProfileError(str(error)) from error

    def _create(self, path: Path, settings: Mapping[str, int]) -> None:
        api = self._api
        environment = api.made("CreateEnvironment", ctypes.c_int(0), None)
        self._environment = environment
        self._model = api.made("CreateModelFromFile", environment, ctypes.c_char_p(str(path).encode()))
        options = api.made("CreateOptions")
        api.call("SetOptionsHardwareAccelerators", options, ctypes.c_int(_ON_CPU))
        # Options travel as TOML under the name of the part that they are for.
        self._add_options(options, b"runtime_options_string", "enable_profiling = true\n")
        self._add_options(options, b"xnnpack", "".join(f"{key} = {value}\n" for key, value in settings.items()))
        self._compiled = api.made("CreateCompiledModel", environment, self._model, options)
        self._profiler = api.made("CompiledModelGetProfiler", self._compiled)
        if not self._profiler:
            raise NoProfileError(f"{self._product} made this model without a profiler")
        api.call("StartProfiler", self._profiler)

    def _add_options(self, options: ctypes.c_void_p, name: bytes, text: str) -> None:
        payload, free = ctypes.create_string_buffer(text.encode()), _Free(lambda _payload: None)
        self._kept += [payload, free]
        opaque = self._api.made("CreateOpaqueOptions", ctypes.c_char_p(name), ctypes.cast(payload, _Pointer), free)
        self._api.call("AddOpaqueOptions", options, opaque)

    def _input_buffers(self, signature: ctypes.c_void_p, feeds: Mapping[str, Array]) -> ctypes.Array[ctypes.c_void_p]:
        import numpy as np

        count = self._api.number("GetNumSignatureInputs", signature)
        buffers = (_Pointer * count)()
        for index in range(count):
            name, kind = self._tensor(signature, "Input", index)
            feed = np.ascontiguousarray(feeds[name])
            if self._sizes.get(name, tuple(kind.layout.sizes[: feed.ndim])) != feed.shape:
                sizes = (ctypes.c_int * feed.ndim)(*feed.shape)
                place = (self._compiled, ctypes.c_size_t(0), ctypes.c_size_t(index))
                self._api.call("CompiledModelResizeInputTensor", *place, sizes, ctypes.c_size_t(feed.ndim))
                self._sizes[name] = feed.shape
            kind.layout.sizes[: feed.ndim] = feed.shape
            buffers[index] = buffer = self._buffer("Input", index, kind)
            ctypes.memmove(self._lock(buffer, _LOCK_WRITE), feed.ctypes.data, feed.nbytes)
            self._api.call("UnlockTensorBuffer", buffer)
        return buffers

    def _output_buffers(self, signature: ctypes.c_void_p) -> ctypes.Array[ctypes.c_void_p]:
        count = self._api.number("GetNumSignatureOutputs", signature)
        buffers, layouts = (_Pointer * count)(), (_Layout * count)()
        place = (self._compiled, ctypes.c_size_t(0), ctypes.c_size_t(count))
        self._api.call("GetCompiledModelOutputTensorLayouts", *place, layouts, ctypes.c_bool(True))
        self._outputs_by_name: dict[str, tuple[ctypes.c_void_p, _TensorType]] = {}
        for index in range(count):
            name, kind = self._tensor(signature, "Output", index)
            kind.layout = layouts[index]
            buffer = self._buffer("Output", index, kind)
            buffers[index] = buffer
            self._outputs_by_name[name] = (buffer, kind)
        return buffers

    def _tensor(self, signature: ctypes.c_void_p, side: str, index: int) -> tuple[str, _TensorType]:
        tensor = self._api.made(f"GetSignature{side}TensorByIndex", signature, ctypes.c_size_t(index))
        name, kind = ctypes.c_char_p(), _TensorType()
        self._api.call("GetTensorName", tensor, ctypes.byref(name))
        self._api.call("GetRankedTensorType", tensor, ctypes.byref(kind))
        return (name.value or b"").decode(), kind

    def _buffer(self, side: str, index: int, kind: _TensorType) -> ctypes.c_void_p:
        place = (self._compiled, ctypes.c_size_t(0), ctypes.c_size_t(index))
        needs = self._api.made(f"GetCompiledModel{side}BufferRequirements", *place)
        made = "CreateManagedTensorBufferFromRequirements"
        return self._api.made(made, self._environment, ctypes.byref(kind), needs)

    def _lock(self, buffer: ctypes.c_void_p, mode: int) -> ctypes.c_void_p:
        address = _Pointer()
        self._api.call("LockTensorBuffer", buffer, ctypes.byref(address), ctypes.c_int(mode))
        return address

    def _events(self) -> list[Event]:
        """Return the events; their layout is believed only when every kind among them is one of the header's."""
        count = ctypes.c_int()
        self._api.call("GetNumProfilerEvents", self._profiler, ctypes.byref(count))
        words = (ctypes.c_uint64 * (_WORDS * count.value))()
        self._api.call("GetProfilerEvents", self._profiler, count, words)
        rows = [words[start : start + _WORDS] for start in range(0, len(words), _WORDS)]
        if not all(row[_TAG] and row[_KIND] & 0xFFFFFFFF in _KINDS for row in rows):
            raise NoProfileError(f"{self._product} lays its profile out otherwise than LiteRT {KNOWN_VERSION}0")
        return [
            Event(
                tag=ctypes.string_at(row[_TAG]).decode(errors="replace"),
                kind=row[_KIND] & 0xFFFFFFFF,
                elapsed_us=row[_ELAPSED_US],
                # Unused ones hold -1.
                node=ctypes.c_int64(row[_NODE]).value,
            )
            for row in rows
        ]
