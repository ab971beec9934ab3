"""What a worker is told and what it answers: plain data that travels as JSON over a pipe. Standard library only.

The supervisor writes one block as a single JSON line to the worker's standard input. The worker answers JSON lines on
its standard output: ``{"event": "phase", "phase": "imported"}`` when a phase begins, then exactly one of
``{"event": "result", "result": {...}}`` (the fields of ``WorkerResult``) or
``{"event": "failure", "status": "INVALID_MODEL", "reason": "...", "message": "..."}``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PIPE_PROTOCOL_VERSION = 1

# The block kinds: the fields that matter beside the common ones stand behind each.
KIND_LATENCY = "latency"  # timing
KIND_EVALUATION = "evaluation"  # data_path, reducer, batch_size, output_path, output_quota_bytes
KIND_ENERGY = "energy"  # energy_window_ms: one closed-loop window; window edges come back for the meters
KIND_PROBE = "probe"  # no model: version and providers of the runtime
KIND_SIGNATURE = "signature"  # load only: inputs and outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When to stop warming up and how long to sample; the defaults are those of docs/measuring.md."""

    sample_window_ms: int = 200
    warmup_window_ms: int = 50
    warmup_tolerance: float = 0.03
    warmup_cap_ms: int = 2000
    min_sample_count: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One artifact in one fresh process. JSON keys are the field names; nested records are objects.

    ``runtime`` holds the fields of ``RuntimeOptions`` as JSON (providers as a list of {"name", "options"}).
    ``data_path`` is an .npz with, per input name, the array ``NAME.values`` [N, ...] and, where values were packed,
    ``NAME.table``: the input is then ``table[values]`` (exact by construction), else ``values`` itself.
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
    core_ids: tuple[int, ...] = ()
    protocol: int = PIPE_PROTOCOL_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerResult:
    """What a finished block measured. Times are nanoseconds of CLOCK_MONOTONIC; None is "not measured by this kind".

    ``memory_phases`` maps a phase name ("imported", "loaded", "first_run", "steady") to the VmRSS, RssAnon, RssFile
    and RssShmem of /proc/self/status in bytes, keys ``resident_bytes``, ``anonymous_bytes``, ``file_bytes``,
    ``shared_bytes``; it is empty with ``memory_reason`` set where the system does not tell.
    """

    runtime_version: str
    providers: tuple[str, ...] = ()
    provider_probes: tuple[dict[str, str], ...] = ()
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
    memory_phases: dict[str, dict[str, int]] = field(default_factory=dict)
    peak_resident_bytes: int | None = None
    peak_source: str = ""
    memory_reason: str = ""
    input_source: str = ""
    notes: tuple[str, ...] = ()
    sample_count: int = 0
    window_start_ns: int | None = None
    window_end_ns: int | None = None
