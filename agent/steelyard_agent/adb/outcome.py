"""What a run of ``benchmark_model`` says about its block: samples under the contract of a worker, or how it failed."""

from __future__ import annotations

import re
from dataclasses import replace

from steelyard_agent.adb.binary import CPU, EXTERNAL, RUNTIME_NAME, XNNPACK
from steelyard_agent.adb.parse import Delegation, Report
from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.contract import RuntimeOptions
from steelyard_agent.worker.ending import last_line
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

# What the program, Android's linker and its shell say, first match wins, with what it means.
_MEANINGS: tuple[tuple[str, BlockStatus, str, str], ...] = (
    (
        r"CANNOT LINK EXECUTABLE.*",
        BlockStatus.RUNTIME_MISSING,
        "cannot_link",
        "the benchmark program needs a library that this phone does not have; build it statically, or take another one",
    ),
    (
        r".*(?:not executable: .*|Exec format error|wrong ELF class).*",
        BlockStatus.RUNTIME_MISSING,
        "wrong_architecture",
        "the benchmark program is for another processor; --benchmark-binary names the one for this phone",
    ),
    (
        r"(?:/system/bin/)?(?:sh|taskset): .*(?:can't execute|[Pp]ermission denied).*",
        BlockStatus.RUNTIME_MISSING,
        "cannot_run",
        "this phone does not let the adb shell run programs of its own; measure in Termux, or take another phone",
    ),
    (
        r".*(?:inaccessible or not found|: not found|No such file or directory: .*benchmark).*",
        BlockStatus.RUNTIME_MISSING,
        "program_gone",
        "a program is missing on the phone; run the job again, which sends it again",
    ),
    (
        r".*(?:model identifier|not a valid (?:TFLite|flatbuffer)|Could not open|Failed to (?:mmap|load model)).*",
        BlockStatus.INVALID_MODEL,
        "invalid_model",
        "the benchmark program cannot load the model; export or copy it again",
    ),
    (
        r".*(?:Didn't find op|unresolved custom op|unsupported op|Op builtin_code out of range).*",
        BlockStatus.UNSUPPORTED,
        "unsupported_op",
        "the benchmark program lacks an op of this model; take a newer one",
    ),
    (
        r".*(?:acceleration is unsupported on this platform|Failed to (?:apply|create) .*delegate|no OpenCL).*",
        BlockStatus.UNSUPPORTED,
        "provider_unavailable",
        "the delegate cannot be used on this phone; take another provider",
    ),
    (
        r".*(?:Inputs mismatch|should have \d+ dimensions|input_layer).*",
        BlockStatus.USER_ERROR,
        "input_mismatch",
        "the shapes do not fit the inputs of the model; correct --shape",
    ),
    (
        r".*(?:can't set mask|failed to set .*affinity|sched_setaffinity).*",
        BlockStatus.USER_ERROR,
        "no_such_core",
        "the phone does not lend these cores; name others, or none",
    ),
    (
        r".*(?:std::bad_alloc|Out of memory|[Ff]ailed to allocate memory).*",
        BlockStatus.OUT_OF_MEMORY,
        "allocation_failed",
        "the model did not get the memory that it asked for; use a smaller model or input shape",
    ),
    (
        r".*(?:Failed to allocate tensors|failed to prepare).*",
        BlockStatus.UNSUPPORTED,
        "cannot_prepare",
        "the benchmark program cannot prepare this model; look at its shapes, or take a newer program",
    ),
    (
        r".*No space left on device.*",
        BlockStatus.DISK_FULL,
        "phone_full",
        "the phone is full; free some space on it",
    ),
)
# From here up, the program's step of a microsecond is a percent of the figure and less.
_COARSE_BELOW_NS = 100_000
_SUMMARY = "only a summary of each round: p90 and above are not measured"


def explain_failure(output: str, status: int) -> BlockFailure:
    """Return how a run ended that printed no timings and exited by itself."""
    for pattern, block_status, reason, meaning in _MEANINGS:
        if match := re.search(f"^{pattern}$", output, re.MULTILINE):
            return BlockFailure(block_status, reason, f"{meaning} ({_short(match.group())})")
    line = last_line(output.replace("Benchmarking failed.", ""))
    return BlockFailure(
        BlockStatus.INTERNAL,
        "no_answer",
        f"{RUNTIME_NAME} ended with exit status {status} and no timings, and said: {_short(line) or 'nothing'}",
    )


def check_delegation(report: Report, options: RuntimeOptions) -> None:
    """Refuse a run in which another than the provider that was asked for did (part of) the work.

    Raises:
        BlockFailure: FALLBACK, unless the plan allows it; UNSUPPORTED when the delegate never came to be.
    """
    wanted = options.providers[0].name if options.providers else ""
    if not wanted or options.allow_fallback:
        return
    if wanted == CPU:
        _refuse_xnnpack(report)
        return
    taken = _taken(report, wanted)
    if taken is None:
        raise BlockFailure(
            BlockStatus.UNSUPPORTED,
            "provider_unavailable",
            f"{RUNTIME_NAME} did not apply {wanted} on this phone; take another provider",
        )
    if taken is not Delegation.COMPLETE:
        how = "only part" if taken is Delegation.PARTIAL else "nothing"
        raise BlockFailure(
            BlockStatus.FALLBACK,
            "provider_fallback",
            f"{wanted} runs {how} of this model, the rest falls back to the CPU; --allow-fallback measures it all the "
            "same",
        )


def _refuse_xnnpack(report: Report) -> None:
    if _took_unasked(report):
        raise BlockFailure(
            BlockStatus.FALLBACK,
            "provider_fallback",
            f"{XNNPACK} runs (part of) this model, though {CPU} alone was asked for: this {RUNTIME_NAME} cannot do "
            f"without it; name {XNNPACK}, or --allow-fallback",
        )


def worker_result(report: Report, options: RuntimeOptions, *, version: str, min_sample_count: int) -> WorkerResult:
    """Return a complete run under the contract of a worker.

    ``latency_ns`` has one value, the median of the run's inferences or, from a program that prints none, their mean;
    ``latency_summary`` says which, and ``sample_count`` how many inferences it stands for.

    Raises:
        BlockFailure: UNSUPPORTED for a model that is faster than the program's clock.
    """
    assert report.mean_ns is not None
    is_median = bool(report.median_ns)
    latency_ns = report.median_ns or report.mean_ns
    if latency_ns == 0:
        raise BlockFailure(
            BlockStatus.UNSUPPORTED,
            "too_fast",
            f"{RUNTIME_NAME} counts whole microseconds, and this model takes less; run the agent in Termux",
        )
    count = report.inference_count or 0
    notes = [f"{RUNTIME_NAME} prints {_SUMMARY}"]
    if report.median_ns is None:
        notes.append(f"this {RUNTIME_NAME} prints no median: p50 is the mean of each round's inferences")
    elif not is_median:
        notes.append(f"the median is below the microsecond that {RUNTIME_NAME} counts in: p50 is the mean")
    elif latency_ns < _COARSE_BELOW_NS:
        notes.append(f"{RUNTIME_NAME} counts whole microseconds: a step is {100_000 / latency_ns:.0f} % of this median")
    if count < min_sample_count:
        notes.append(f"{count} inferences in the block, fewer than the {min_sample_count} asked for: time ran out")
    if report.unused_flags:
        notes.append(f"this {RUNTIME_NAME} does not know {_short(report.unused_flags)}")
    result = WorkerResult(
        runtime_version=version,
        providers=_providers(report, options),
        model_load_ns=report.init_ns,
        first_inference_ns=report.first_inference_ns,
        warmup_ns=_warmup_ns(report),
        latency_ns=(latency_ns,),
        latency_summary="median" if is_median else "mean",
        sample_count=count,
        input_source=f"drawn by {RUNTIME_NAME}",
        notes=tuple(notes),
    )
    return _with_memory(result, report)


def placements(report: Report, options: RuntimeOptions) -> dict[str, int | None]:
    """Return how many nodes each provider took; None where the program does not tell."""
    wanted = options.providers[0].name if options.providers else ""
    # NNAPI was seen to replace every node and then to run none of them.
    refused = _taken(report, wanted) is Delegation.NONE
    took = [one for one in report.replaced if _is_xnnpack(one.delegate) or not refused]
    if not took:
        return dict.fromkeys(_providers(report, options))
    counts: dict[str, int] = {}
    # The first delegate of a subgraph counts all of its nodes, a later one also the nodes that stand for the first.
    total = sum({one.subgraph: one.of_count for one in reversed(took)}.values())
    for one in took:
        name = XNNPACK if _is_xnnpack(one.delegate) else wanted or one.delegate
        counts[name] = counts.get(name, 0) + one.node_count
    if (left := total - sum(counts.values())) > 0:
        counts[CPU] = left
    return dict(counts)


def _with_memory(result: WorkerResult, report: Report) -> WorkerResult:
    """Add the peak and the baseline; the program tells the baseline only as the peak less what it grew by."""
    peak, growth = report.peak_resident_bytes, report.peak_growth_bytes
    if peak is None or growth is None or growth > peak:
        told = "nothing" if growth is None else "only how much its peak grew"
        return replace(result, memory_reason=f"{RUNTIME_NAME} tells {told} about its memory")
    return replace(
        result,
        memory_phases={"imported": {"resident_bytes": peak - growth}},
        peak_resident_bytes=peak,
        peak_source=f"peak of {RUNTIME_NAME}, looked at every 250 ms; its baseline is the peak less what it grew by",
    )


def _warmup_ns(report: Report) -> int | None:
    if report.warmup_count is None or report.warmup_mean_ns is None:
        return None
    return report.warmup_count * report.warmup_mean_ns


def _providers(report: Report, options: RuntimeOptions) -> tuple[str, ...]:
    wanted = options.providers[0].name if options.providers else ""
    if wanted == CPU:
        return (XNNPACK, CPU) if _took_unasked(report) else (CPU,)
    taken = _taken(report, wanted or XNNPACK)
    if taken is Delegation.COMPLETE:
        return (wanted or XNNPACK,)
    rest = (XNNPACK, CPU) if report.created_xnnpack and wanted != XNNPACK else (CPU,)
    named = (wanted or XNNPACK,) if taken is Delegation.PARTIAL else ()
    return tuple(dict.fromkeys((*named, *rest)))


def _taken(report: Report, wanted: str) -> Delegation | None:
    """Return how much the provider took; what is applied by default says so by its nodes only."""
    said = {name.lower(): delegation for name, delegation in report.delegations}
    name = "external" if wanted.startswith(EXTERNAL) else wanted.lower()
    if name in said:
        return said[name]
    # LiteRT's program says of every delegate only which nodes it took.
    nodes = [one for one in report.replaced if _is_xnnpack(one.delegate) == (wanted == XNNPACK)]
    if nodes:
        return Delegation.COMPLETE if all(one.node_count == one.of_count for one in nodes) else Delegation.PARTIAL
    return Delegation.PARTIAL if wanted == XNNPACK and report.created_xnnpack else None


def _took_unasked(report: Report) -> bool:
    """Return whether XNNPACK took nodes of a run without it: LiteRT's program does not know --use_xnnpack."""
    unknown_flag = report.created_xnnpack and "use_xnnpack" in report.unused_flags
    return unknown_flag or any(_is_xnnpack(one.delegate) for one in report.replaced)


def _is_xnnpack(delegate: str) -> bool:
    return "xnnpack" in delegate.lower()


def _short(text: str) -> str:
    # Names of tensors and ops are the model's: whoever made it chose their bytes.
    return "".join(one if one.isprintable() else "?" for one in text.strip()[:200])
