"""What a worker is told and what it answers: plain data that travels as JSON over a pipe. Standard library only.

The supervisor writes one block as a single JSON line to the worker's standard input. The worker answers JSON lines on
its standard output: ``{"event": "phase", "phase": "imported"}`` when a phase ends, then exactly one of
``{"event": "result", "result": {...}}`` (the fields of ``WorkerResult``) or
``{"event": "failure", "status": "INVALID_MODEL", "reason": "...", "message": "..."}``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from steelyard_agent.worker.contention import Contention
from steelyard_agent.worker.modes import Mode
from steelyard_agent.worker.processing_spec import Processing
from steelyard_agent.worker.records import OperatorRecord, ProbeModel, RateRecord

PIPE_PROTOCOL_VERSION = 1

# The block kinds: the fields that matter beside the common ones stand behind each.
KIND_LATENCY = "latency"  # timing, mode, batch_size, processing
KIND_EVALUATION = "evaluation"  # data_path, reducer, batch_size, output_path, output_quota_bytes
# energy_window_ms and what may lengthen it, loaded_rest_ms, marker_*: one window, back to back or paced; its edges come
# back for the meters.
KIND_ENERGY = "energy"
KIND_IDLE = "idle"  # no model: the runtime imported, asleep for idle_window_ms, whose edges come back for the meters
KIND_PREPARATION = "preparation"  # cache_folder: load once, so that a provider that compiles leaves what it made there
KIND_PROBE = "probe"  # no model: version and providers of the runtime
KIND_SIGNATURE = "signature"  # load only: inputs and outputs
KIND_OPERATORS = "operators"  # profile_window_ms: the runtime's profiler on; nothing of it is a latency
KIND_NUMERIC = "numeric"  # data_path, batch_size, output_path, output_quota_bytes, layers_path: outputs whole
KIND_ROOFLINE = "roofline"  # no model of the user's: probe_window_ms, probe_thread_count, probe_models
KINDS = (
    KIND_LATENCY,
    KIND_EVALUATION,
    KIND_ENERGY,
    KIND_IDLE,
    KIND_PREPARATION,
    KIND_PROBE,
    KIND_SIGNATURE,
    KIND_OPERATORS,
    KIND_NUMERIC,
    KIND_ROOFLINE,
)

# How an evaluation block reduces outputs: docs of worker/reduce.py.
REDUCERS = ("argmax", "top_k", "score_threshold", "full")


def _refuse_below(record: object, least: int, *names: str) -> None:
    for name in names:
        if (value := getattr(record, name)) < least:
            raise ValueError(f"{name} is {value!r}; {least} is the least")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When to stop warming up and how long to sample; the defaults are those of docs/measuring.md."""

    sample_window_ms: int = 200
    warmup_window_ms: int = 50
    warmup_tolerance: float = 0.03
    warmup_cap_ms: int = 2000
    min_sample_count: int = 10

    def __post_init__(self) -> None:
        """Refuse a timing that could not end or would measure nothing."""
        _refuse_below(self, 1, "sample_window_ms", "warmup_window_ms", "min_sample_count")
        _refuse_below(self, 0, "warmup_cap_ms", "warmup_tolerance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One artifact in one fresh process. JSON keys are the field names; nested records are objects.

    ``runtime`` holds the fields of ``RuntimeOptions`` as JSON (providers as a list of {"name", "options"}).
    ``data_path`` is an .npz with, per input name, the array ``NAME.values`` [N, ...] and, where values were packed,
    ``NAME.table``: the input is then ``table[values]`` (exact by construction), else ``values`` itself.
    ``cache_folder`` is where a provider that compiles models keeps and finds what it made, "" for nowhere.
    With ``data_path`` set a latency block takes its inputs from the data, otherwise they are drawn by signature.
    ``batch_size`` 0 leaves the batch to the model: what it fixes, else 1.
    """

    kind: str
    runtime_name: str
    model_path: str = ""
    runtime: dict[str, object] = field(default_factory=dict)
    timing: Timing = Timing()
    seed: int = 0
    data_path: str = ""
    reducer: str = "argmax"
    batch_size: int = 0
    top_count: int = 5
    score_threshold: float = 0.5
    output_path: str = ""
    output_quota_bytes: int = 256 * 1024 * 1024
    energy_window_ms: int = 10_000
    # A slow model's window is made longer until it holds as many inferences, but not beyond longest_energy_window_ms.
    least_inference_count: int = 0
    longest_energy_window_ms: int = 0
    # Asleep with the model loaded, before its first inference; 0: not at all.
    loaded_rest_ms: int = 0
    idle_window_ms: int = 30_000
    # Pulses of load before the energy window, for a meter elsewhere (worker/marker.py); 0: none.
    marker_pulse_count: int = 0
    marker_pulse_ms: int = 0
    core_ids: tuple[int, ...] = ()
    cache_folder: str = ""
    # The model with the outputs of its layers among its outputs, "" for none.
    layers_path: str = ""
    profile_window_ms: int = 1000
    # One try of one rate; the best of several tries counts.
    probe_window_ms: int = 200
    probe_thread_count: int = 1
    probe_models: tuple[ProbeModel, ...] = ()
    mode: Mode = field(default_factory=Mode)
    processing: Processing = field(default_factory=Processing)
    protocol: int = PIPE_PROTOCOL_VERSION

    def __post_init__(self) -> None:
        """Refuse a block that no worker could run."""
        if self.kind not in KINDS:
            raise ValueError(f"block kind {self.kind!r} is none of {', '.join(KINDS)}")
        if self.reducer not in REDUCERS:
            raise ValueError(f"reducer {self.reducer!r} is none of {', '.join(REDUCERS)}")
        if self.kind not in (KIND_PROBE, KIND_ROOFLINE, KIND_IDLE) and not self.model_path:
            raise ValueError(f"a block of kind {self.kind!r} needs a model_path")
        if self.kind in (KIND_EVALUATION, KIND_NUMERIC) and not (self.data_path and self.output_path):
            raise ValueError(f"a block of kind {self.kind!r} needs a data_path and an output_path")
        _refuse_below(self, 1, "top_count", "output_quota_bytes", "energy_window_ms", "idle_window_ms")
        _refuse_below(self, 0, "seed", "marker_pulse_count", "batch_size")
        _refuse_below(self, 0, "least_inference_count", "longest_energy_window_ms", "loaded_rest_ms")
        _refuse_below(self, 1, "profile_window_ms", "probe_window_ms", "probe_thread_count")
        if self.marker_pulse_count:
            _refuse_below(self, 1, "marker_pulse_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One point of a sustained curve; ``offset_ms`` is its middle. None: not told, or too few inferences to say it."""

    offset_ms: int
    inference_count: int
    p50_ns: int
    p90_ns: int | None = None
    temperature_c: float | None = None
    frequency_hz: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerResult:
    """What a finished block measured. Times are nanoseconds of CLOCK_MONOTONIC; None is "not measured by this kind".

    ``memory_phases`` maps a phase name ("imported", "loaded", "first_run", "steady") to the VmRSS, RssAnon, RssFile
    and RssShmem of /proc/self/status in bytes, keys ``resident_bytes``, ``anonymous_bytes``, ``file_bytes``,
    ``shared_bytes``; it is empty with ``memory_reason`` set where the system does not tell.

    Of a timed block ``window_ns`` is the wall time of the samples, ``cpu_ns`` the CPU time of all threads in it,
    ``sample_count`` the inferences in it, of ``batch_size`` samples each: samples a second are ``sample_count *
    batch_size / window_ns * 1e9``. By mode (``worker/modes.py``):

    - paced: ``latency_ns`` is the service time and ``response_ns`` counts from the intended start, one value each an
      arrival that began; ``missed_count`` arrivals were due within the window and never began;
    - multi-stream: ``latency_ns`` holds the samples of all streams, in turn;
    - sustained: ``curve``; ``latency_ns`` holds every k-th sample of it, k in a note when it is not 1;
    - stepwise: ``sequences`` holds the time of each step of each sequence, first step first; ``latency_ns`` is all of
      them in a row. What carries the state from one step to the next lies between the steps.
    """

    runtime_version: str
    providers: tuple[str, ...] = ()
    # Nodes that each provider runs, in the same order; None where the runtime does not tell.
    placements: dict[str, int | None] = field(default_factory=dict)
    provider_probes: tuple[dict[str, str], ...] = ()
    compiling_providers: tuple[str, ...] = ()
    inputs: tuple[dict[str, object], ...] = ()
    outputs: tuple[dict[str, object], ...] = ()
    process_start_ns: int | None = None
    runtime_import_ns: int | None = None
    model_load_ns: int | None = None
    first_inference_ns: int | None = None
    warmup_ns: int | None = None
    warmup_steady: bool | None = None
    inner_batch_count: int = 1
    latency_ns: tuple[int, ...] = ()
    # "median" or "mean" when latency_ns is one value that sums up sample_count inferences, "" when it holds samples.
    latency_summary: str = ""
    build_ns: int | None = None
    prepared_cache_hit: bool | None = None
    memory_phases: dict[str, dict[str, int]] = field(default_factory=dict)
    peak_resident_bytes: int | None = None
    peak_source: str = ""
    memory_reason: str = ""
    # What the runtime's own allocator held at most, or why it is not known; by numeric blocks only.
    arena_bytes: int | None = None
    arena_source: str = ""
    input_source: str = ""
    notes: tuple[str, ...] = ()
    sample_count: int = 0
    window_start_ns: int | None = None
    window_end_ns: int | None = None
    marker_edges_ns: tuple[int, ...] = ()
    # The window holds no inference on purpose: nothing was loaded and nothing ran.
    is_idle: bool = False
    # Of an energy block: when the worker slept with the model loaded, before anything ran.
    loaded_start_ns: int | None = None
    loaded_end_ns: int | None = None
    response_ns: tuple[int, ...] = ()
    missed_count: int = 0
    window_ns: int | None = None
    batch_size: int | None = None
    curve: tuple[CurvePoint, ...] = ()
    sequences: tuple[tuple[int, ...], ...] = ()
    preprocessing_ns: tuple[int, ...] = ()
    postprocessing_ns: tuple[int, ...] = ()
    cpu_ns: int | None = None
    # What others did to this process while it was timed; None where nothing was timed or nobody looked.
    contention: Contention | None = None
    # The operators of the inferences that were profiled, those inferences, and their wall time with the profiler on;
    # none with operators_reason set where the runtime has no profiler.
    operators: tuple[OperatorRecord, ...] = ()
    profiled_count: int = 0
    profiled_ns: int = 0
    operators_reason: str = ""
    rates: tuple[RateRecord, ...] = ()
