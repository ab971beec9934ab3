"""What a worker is told and what it answers: plain data that travels as JSON over a pipe. Standard library only.

The supervisor writes one block as a single JSON line to the worker's standard input. The worker answers JSON lines on
its standard output: ``{"event": "phase", "phase": "imported"}`` when a phase ends, then exactly one of
``{"event": "result", "result": {...}}`` (the fields of ``WorkerResult``) or
``{"event": "failure", "status": "INVALID_MODEL", "reason": "...", "message": "..."}``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PIPE_PROTOCOL_VERSION = 1

# The block kinds: the fields that matter beside the common ones stand behind each.
KIND_LATENCY = "latency"  # timing
KIND_EVALUATION = "evaluation"  # data_path, reducer, batch_size, output_path, output_quota_bytes
KIND_ENERGY = "energy"  # energy_window_ms, marker_*: one closed-loop window; its edges come back for the meters
KIND_PREPARATION = "preparation"  # cache_folder: load once, so that a provider that compiles leaves what it made there
KIND_PROBE = "probe"  # no model: version and providers of the runtime
KIND_SIGNATURE = "signature"  # load only: inputs and outputs
KINDS = (KIND_LATENCY, KIND_EVALUATION, KIND_ENERGY, KIND_PREPARATION, KIND_PROBE, KIND_SIGNATURE)

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
    """

    kind: str
    runtime_name: str
    model_path: str = ""
    runtime: dict[str, object] = field(default_factory=dict)
    timing: Timing = Timing()
    seed: int = 0
    data_path: str = ""
    reducer: str = "argmax"
    batch_size: int = 1
    top_count: int = 5
    score_threshold: float = 0.5
    output_path: str = ""
    output_quota_bytes: int = 256 * 1024 * 1024
    energy_window_ms: int = 10_000
    # Pulses of load before the energy window, for a meter elsewhere (worker/marker.py); 0: none.
    marker_pulse_count: int = 0
    marker_pulse_ms: int = 0
    core_ids: tuple[int, ...] = ()
    cache_folder: str = ""
    protocol: int = PIPE_PROTOCOL_VERSION

    def __post_init__(self) -> None:
        """Refuse a block that no worker could run."""
        if self.kind not in KINDS:
            raise ValueError(f"block kind {self.kind!r} is none of {', '.join(KINDS)}")
        if self.reducer not in REDUCERS:
            raise ValueError(f"reducer {self.reducer!r} is none of {', '.join(REDUCERS)}")
        if self.kind != KIND_PROBE and not self.model_path:
            raise ValueError(f"a block of kind {self.kind!r} needs a model_path")
        if self.kind == KIND_EVALUATION and not (self.data_path and self.output_path):
            raise ValueError("an evaluation block needs a data_path and an output_path")
        _refuse_below(self, 1, "batch_size", "top_count", "output_quota_bytes", "energy_window_ms")
        _refuse_below(self, 0, "seed", "marker_pulse_count")
        if self.marker_pulse_count:
            _refuse_below(self, 1, "marker_pulse_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerResult:
    """What a finished block measured. Times are nanoseconds of CLOCK_MONOTONIC; None is "not measured by this kind".

    ``memory_phases`` maps a phase name ("imported", "loaded", "first_run", "steady") to the VmRSS, RssAnon, RssFile
    and RssShmem of /proc/self/status in bytes, keys ``resident_bytes``, ``anonymous_bytes``, ``file_bytes``,
    ``shared_bytes``; it is empty with ``memory_reason`` set where the system does not tell.
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
    input_source: str = ""
    notes: tuple[str, ...] = ()
    sample_count: int = 0
    window_start_ns: int | None = None
    window_end_ns: int | None = None
    marker_edges_ns: tuple[int, ...] = ()
