"""ONNX Runtime: .onnx and .ort files; execution providers, session options, IO binding."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard_agent.runtimes.onnxruntime_arena import read_held
from steelyard_agent.runtimes.onnxruntime_errors import LARGEST_PROTOBUF_BYTES, explain_load, explain_run
from steelyard_agent.runtimes.onnxruntime_libraries import why_not_loadable
from steelyard_agent.runtimes.onnxruntime_placement import place
from steelyard_agent.runtimes.onnxruntime_profile import read_profile
from steelyard_agent.runtimes.onnxruntime_providers import CPU, PROVIDERS, SUFFIX, XNNPACK, known_provider, why_absent
from steelyard_agent.runtimes.provider_names import full_name, options_for, refuse_unknown
from steelyard_agent.worker.contract import LoadedModel, ProviderProbe, RuntimeOptions, TensorSpec
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.profiled import ProfiledModel
from steelyard_agent.worker.records import Arena, OperatorSum
from steelyard_agent.worker.shapes import check_feeds

if TYPE_CHECKING:
    from steelyard_agent.worker.arena import ArenaModel
    from steelyard_agent.worker.contract import Array

_Folder = tempfile.TemporaryDirectory[str]
# onnxruntime/core/session/onnxruntime_session_options_config_keys.h
_NO_CPU_FALLBACK = "session.disable_cpu_ep_fallback"
_CONTEXT_ENABLE, _CONTEXT_PATH = "ep.context_enable", "ep.context_file_path"
_RECORD_ASSIGNMENT = "session.record_ep_graph_assignment_info"
_SPINNING = ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning")

_LEVELS = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}

# Types that have a numpy name of their own; others keep ONNX Runtime's name and cannot be fed.
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
}
# Warnings off: one that comes with every run (a shape that differs from the declared one) would be timed.
_LOG_ERRORS_ONLY = 3


class OnnxRuntime:
    """The adapter of ONNX Runtime's Python package."""

    name = "onnxruntime"
    suffixes = frozenset({".onnx", ".ort"})

    def version(self) -> str:
        """Import the library and return its version."""
        return str(_library().__version__)

    def probe(self) -> tuple[ProviderProbe, ...]:
        """Return every provider that ONNX Runtime or we know by name; those that cannot be used carry a reason."""
        library = _library()
        available = library.get_available_providers()
        return tuple(
            ProviderProbe(
                name=name,
                reason=why_not_loadable(library, name) if name in available else why_absent(name),
                compiles=known_provider(name).compiles,
            )
            # The CPU first: it is what runs when no provider is named.
            for name in sorted(_known_names(library), key=lambda name: (name != CPU, name not in available))
        )

    def load(self, model_path: Path, options: RuntimeOptions) -> LoadedModel:
        """Create a session; see the contract."""
        return self._load(model_path, options, None)

    def load_profiled(self, model_path: Path, options: RuntimeOptions) -> ProfiledModel:
        """Create a session that writes a trace; see the contract."""
        return self._load_traced(model_path, options)

    def load_for_arena(self, model_path: Path, options: RuntimeOptions) -> ArenaModel:
        """Create a session whose trace tells what its arena holds; see worker/arena.py."""
        return self._load_traced(model_path, options)

    def _load_traced(self, model_path: Path, options: RuntimeOptions) -> _Session:
        folder = tempfile.TemporaryDirectory(prefix="steelyard-")
        try:
            return self._load(model_path, options, folder)
        except BaseException:
            folder.cleanup()
            raise

    def _load(self, model_path: Path, options: RuntimeOptions, trace_folder: _Folder | None) -> _Session:
        library = _library()
        providers = _providers(library, options)
        wanted = [name for name, _ in providers] or [CPU]
        context = _context_model(wanted[0], options)
        if context is not None and context.is_file():
            model_path = context
        if model_path.suffix.lower() == ".onnx" and (size := model_path.stat().st_size) >= LARGEST_PROTOBUF_BYTES:
            raise BlockFailure(
                BlockStatus.INVALID_MODEL,
                "too_large",
                f"{model_path.name} has {size} bytes and a protobuf message ends before {LARGEST_PROTOBUF_BYTES}; "
                "save its weights as external data",
            )
        if wanted[0] != CPU and not options.allow_fallback:
            # ONNX Runtime refuses the CPU provider beside a session that must not fall back to it.
            providers = [pair for pair in providers if pair[0] != CPU]
        try:
            session_options = _session_options(library, options, wanted[0], context)
            if trace_folder is not None:
                session_options.enable_profiling = True
                session_options.profile_file_prefix = str(Path(trace_folder.name, "profile"))
            session = library.InferenceSession(
                str(model_path),
                session_options,
                providers=providers or [(CPU, {})],
                enable_fallback=0,
            )
            return _Session(library, session, wanted, allow_fallback=options.allow_fallback, trace_folder=trace_folder)
        except BlockFailure as failure:
            raise _not_loadable(library, wanted[0]) or failure from None
        except Exception as error:
            explained = explain_load(error, model_path, self.version(), wanted[0])
            if explained is None:
                raise
            if explained.status is BlockStatus.FALLBACK:
                explained = _not_loadable(library, wanted[0]) or explained
            raise explained from error


class _Session:
    """A loaded session; ``bind`` may be called again for other inputs."""

    # No provider of ONNX Runtime says so; the files in its cache folder do.
    loaded_from_cache: bool | None = None

    def __init__(
        self,
        library: Any,
        session: Any,
        wanted: list[str],
        *,
        allow_fallback: bool,
        trace_folder: _Folder | None = None,
    ) -> None:
        # Removed with this object at the latest.
        self._trace_folder = trace_folder
        self._library = library
        self._session = session
        self._binding: Any = None
        self.inputs = tuple(_spec(value) for value in session.get_inputs())
        self.outputs = tuple(_spec(value) for value in session.get_outputs())
        placed = place(session, wanted, allow_fallback=allow_fallback)
        self.providers, self.placements, self.notes = placed.providers, placed.placements, placed.notes

    def bind(self, feeds: Mapping[str, Array]) -> Callable[[], object]:
        check_feeds(self.inputs, feeds)
        binding = self._session.io_binding()
        # On the CPU an OrtValue shares the array's memory; both live as long as the binding.
        self._kept = {
            name: self._library.OrtValue.ortvalue_from_numpy(feed if feed.flags.c_contiguous else feed.copy())
            for name, feed in feeds.items()
        }
        for name, value in self._kept.items():
            binding.bind_ortvalue_input(name, value)
        for spec in self.outputs:
            # The first run allocates outputs on the host, later runs of this binding write into the same memory.
            binding.bind_output(spec.name, "cpu")
        self._binding = binding
        # Below the Python wrapper, which adds 0.2 us a call: the C session and binding that it would call.
        native = getattr(self._session, "_sess", None)
        if native is None:
            return partial(self._session.run_with_iobinding, binding)
        return partial(native.run_with_iobinding, binding._iobinding, None)  # noqa: SLF001

    def fetch(self) -> dict[str, Array]:
        values = self._binding.copy_outputs_to_cpu()
        return {spec.name: value for spec, value in zip(self.outputs, values, strict=True)}

    def explain(self, error: Exception) -> BlockFailure | None:
        return explain_run(error)

    def begin(self, warm_call_count: int) -> None:
        """Nothing to do: the trace keeps inferences apart, and the last ones are read."""

    def operators(self, call_count: int) -> OperatorSum:
        with self._trace() as trace:
            return read_profile(trace, call_count)

    def arena(self) -> Arena:
        with self._trace() as trace:
            return read_held(trace)

    @contextmanager
    def _trace(self) -> Iterator[Path]:
        """End profiling and lend the file that it left."""
        trace = Path(self._session.end_profiling())
        try:
            yield trace
        finally:
            if self._trace_folder is not None:
                self._trace_folder.cleanup()


def _library() -> Any:
    # From 1.29 on its builds for Linux, macOS and Android report each process, session and model to Microsoft by a
    # thread of their own, in the process that is measured, unless this is said before the import (docs/Privacy.md
    # there). Who wants it says ORT_DISABLE_TELEMETRY=0.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise BlockFailure(
            BlockStatus.RUNTIME_MISSING,
            "no_onnxruntime",
            f"ONNX Runtime cannot be imported here ({error}); pip install 'steelyard[onnxruntime]', in another "
            "environment than the agent's pip install onnxruntime",
        ) from error
    return onnxruntime


def _not_loadable(library: Any, name: str) -> BlockFailure | None:
    """Return the failure of a provider whose library cannot be loaded: to the session that is a fallback like any."""
    why = why_not_loadable(library, name)
    if not why:
        return None
    return BlockFailure(BlockStatus.UNSUPPORTED, "provider_unavailable", f"{name} cannot be used here: {why}")


def _session_options(library: Any, options: RuntimeOptions, first_provider: str, context: Path | None = None) -> Any:
    session = library.SessionOptions()
    session.log_severity_level = _LOG_ERRORS_ONLY
    if first_provider == XNNPACK:
        # It has threads of its own; a second pool beside it takes their cores (the provider's page recommends this).
        session.intra_op_num_threads = 1
    elif options.intra_op_thread_count is not None:
        session.intra_op_num_threads = options.intra_op_thread_count
    if options.inter_op_thread_count is not None:
        session.inter_op_num_threads = options.inter_op_thread_count
        if options.inter_op_thread_count > 1:
            # The sequential executor, the default, would ignore the count.
            session.execution_mode = library.ExecutionMode.ORT_PARALLEL
    if options.graph_optimization is not None:
        session.graph_optimization_level = getattr(library.GraphOptimizationLevel, _LEVELS[options.graph_optimization])
    if options.arena is not None:
        session.enable_cpu_mem_arena = options.arena
    for key, value in {**_config_entries(options, first_provider), **_context_entries(context)}.items():
        session.add_session_config_entry(key, value)
    return session


def _config_entries(options: RuntimeOptions, first_provider: str) -> dict[str, str]:
    entries = dict(options.options)
    spinning = False if options.spinning is None and first_provider == XNNPACK else options.spinning
    if spinning is not None:
        entries |= dict.fromkeys(_SPINNING, "1" if spinning else "0")
    if first_provider != CPU:
        entries |= {_RECORD_ASSIGNMENT: "1"} | ({} if options.allow_fallback else {_NO_CPU_FALLBACK: "1"})
    return entries


def _context_model(first_provider: str, options: RuntimeOptions) -> Path | None:
    """Return where the provider keeps the model that it compiled, None for one that keeps none, or not there."""
    if not options.cache_folder or not known_provider(first_provider).keeps_context_model:
        return None
    return Path(options.cache_folder) / "context.onnx"


def _context_entries(context: Path | None) -> dict[str, str]:
    """Return the entries that make a session write its context model; one that is there already is loaded instead."""
    if context is None or context.is_file():
        return {}
    return {_CONTEXT_ENABLE: "1", _CONTEXT_PATH: str(context)}


def _providers(library: Any, options: RuntimeOptions) -> list[tuple[str, dict[str, str]]]:
    """Return the providers that were asked for by their full names, each with the options that it is made with."""
    known, available = _known_names(library), library.get_available_providers()
    providers = []
    for spec in options.providers:
        name = full_name(spec.name, known, suffix=SUFFIX)
        if name not in known:
            short = [one.removesuffix(SUFFIX).lower() for one in known]
            raise refuse_unknown(spec.name, available, "this build of ONNX Runtime", known=(*known, *short))
        if name not in available:
            raise BlockFailure(
                BlockStatus.UNSUPPORTED,
                "provider_unavailable",
                f"{name} is {why_absent(name)}; this build of ONNX Runtime has {', '.join(available)}",
            )
        providers.append((name, _options_of(name, spec.options, options)))
    return providers


def _known_names(library: Any) -> list[str]:
    """Return the names of all providers: releases drop some (ACL) that older and own builds have."""
    names = list(library.get_all_providers())
    return [*names, *(name for name in PROVIDERS if name not in names)]


def _options_of(name: str, given: Mapping[str, str], options: RuntimeOptions) -> dict[str, str]:
    return options_for(known_provider(name), given, options.intra_op_thread_count, options.cache_folder)


def _spec(value: Any) -> TensorSpec:
    kind = str(value.type)
    name = _DTYPES.get(kind, kind.removeprefix("tensor(").removesuffix(")"))
    shape = tuple(size if isinstance(size, int) else size or "" for size in value.shape)
    return TensorSpec(name=value.name, dtype=name, shape=shape)
