"""What a reader needs to trust or to repeat a measurement: the device, the method, the model files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.protobuf import timestamp_pb2

from steelyard.analysis.energy_choice import energy_readings
from steelyard.analysis.energy_names import ENERGY_NAME
from steelyard.report.energy import energy_tables, external_tables
from steelyard.report.figures import is_known, one_line, runtime_text
from steelyard.report.mode_words import mode_text
from steelyard.report.operators import rate_text
from steelyard.report.surroundings import circumstances_text, throttling_text, validity_text
from steelyard.report.varied import varied_text
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import common_pb2, measurement_pb2, plan_pb2

Facts = tuple[tuple[str, str], ...]

# The program of a phone on a cable: it times by its own rules.
_BENCHMARK_PROGRAM = "benchmark_model"


def device_facts(measurement: measurement_pb2.Measurement) -> Facts:
    """Return what the device is, as its agent described it."""
    device = measurement.device
    cores = f"{device.logical_core_count} logical cores" if device.logical_core_count else ""
    return _kept(
        ("Device", _joined(measurement.device_name or device.name, device.model)),
        ("Emulated by", device.emulated_by),
        ("Profile", device.profile),
        ("Processor", _joined(device.processor, device.architecture, cores)),
        ("Features", ", ".join(device.processor_features)),
        ("Memory", format_value(device.memory_bytes, "B") if device.memory_bytes else ""),
        ("System", _joined(device.operating_system, device.kernel)),
        ("Python", device.python_version),
        ("Circumstances", circumstances_text(measurement)),
        ("Throttled", throttling_text(measurement)),
        ("Not valid, left out", validity_text(measurement)),
        *((f"At most, {one.name}", f"{rate_text(one)}; {one.how}") for one in measurement.roofline),
        ("Device id", device.device_id),
    )


def method_facts(measurement: measurement_pb2.Measurement) -> Facts:
    """Return how it was measured."""
    return _kept(
        ("Rounds", _rounds(measurement)),
        ("Order", "each round runs every variant once in a fresh process, in reversed order every second round (ABBA)"),
        ("Stopped because", measurement.stop_reason),
        ("Confidence", f"{100 * measurement.confidence:g} %, over rounds (over samples for accuracy)"),
        ("Between sessions", measurement.session_spread),
        ("Runtime", "; ".join(_unique(runtime_text(one) for one in measurement.variants if one.runtime_version))),
        ("Providers", "; ".join(_unique(", ".join(one.providers) for one in measurement.variants if one.providers))),
        ("Placement", "; ".join(_placement(one) for one in measurement.variants if len(one.placements) > 1)),
        ("Options", "; ".join(_unique(_options(one.runtime) for one in measurement.variants if one.runtime.name))),
        ("Mode", mode_text(measurement.plan)),
        ("Varied", varied_text(measurement.plan)),
        ("Compared by", measurement.primary_figure),
        ("Timing", _timing(measurement)),
        ("Timed inputs", _inputs(measurement.plan.inputs)),
        ("Pinned to cores", _cores(measurement.plan)),
        ("Accuracy on", _task(measurement)),
        ("Energy from", "; ".join(_unique(text for one in measurement.variants if (text := _energy_source(one))))),
        ("Energy also read", "; ".join(_unique(text for one in measurement.variants for text in _also_read(one)))),
        ("Windows of energy", _energy_pass(measurement)),
        ("Idle power", one_line(measurement.idle_power) if is_known(measurement.idle_power) else ""),
        ("External meters", "; ".join(_unique(one.name for one in external_tables(measurement.variants)))),
        ("Started", utc(measurement.started_at)),
        ("Finished", utc(measurement.finished_at)),
        ("Job", measurement.job_id),
        ("Controller", measurement.controller_id),
    )


def _energy_source(variant: measurement_pb2.VariantMeasurement) -> str:
    """Return where a variant's figure of energy is from, with its scope; "" where it has none."""
    if not variant.energy.HasField("value"):
        return ""
    return next(map(_scoped, _measured(energy_readings(variant.energy_readings, variant.providers))), "")


def _also_read(variant: measurement_pb2.VariantMeasurement) -> Iterator[str]:
    """Yield the sources whose energy was read and is not the figure."""
    chosen = _energy_source(variant)
    energies = (one for one in variant.energy_readings if one.name == ENERGY_NAME)
    return (text for text in map(_scoped, _measured(energies)) if text != chosen)


def _scoped(reading: common_pb2.Reading) -> str:
    scope = common_pb2.ReadingScope.Name(reading.scope).removeprefix("READING_SCOPE_").lower().replace("_", " ")
    return f"{reading.source}, scope {scope}"


def _measured(readings: Iterable[common_pb2.Reading]) -> Iterator[common_pb2.Reading]:
    """Return the readings with a value: a sensor that was looked for and is not there gave no energy."""
    return (one for one in readings if one.HasField("value"))


def _energy_pass(measurement: measurement_pb2.Measurement) -> str:
    """Return "3 rounds, windows of 10 s, an idle baseline of 30 s before and after each", "" where none was read."""
    tables = energy_tables(measurement)
    if not tables:
        return ""
    rounds = max((row.gross.observation_count for table in tables for row in table.rows), default=0)
    energy = measurement.plan.energy
    idle = f"an idle baseline of {energy.idle_ms / 1000:g} s before and after each" if energy.idle_ms else ""
    return _joined(
        f"{rounds} rounds" if rounds else "",
        f"windows of {energy.window_ms / 1000:g} s" if energy.window_ms else "",
        idle,
    )


def _cores(plan: plan_pb2.Plan) -> str:
    kinds = {plan_pb2.CORE_SELECTION_BIG: "the big ones", plan_pb2.CORE_SELECTION_LITTLE: "the little ones"}
    return kinds.get(plan.core_selection) or ", ".join(map(str, plan.core_ids))


def file_facts(measurement: measurement_pb2.Measurement) -> Facts:
    """Return the SHA-256 of each model file."""
    return _kept(*((variant.label, variant.artifact_digest) for variant in measurement.variants))


def utc(at: timestamp_pb2.Timestamp, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return "2026-11-23 20:31:37 UTC", or "" for a time that was never set."""
    if at.seconds <= 0:
        return ""
    return f"{at.ToDatetime().strftime(pattern)} UTC"


def _rounds(measurement: measurement_pb2.Measurement) -> str:
    samples = sum(variant.sample_count for variant in measurement.variants)
    repeated = f" and {measurement.repeated_round_count} repeated" if measurement.repeated_round_count else ""
    text = f"{measurement.round_count}{repeated}, {samples} timed inferences in all"
    if measurement.segment_count > 1:
        text += f"; interrupted and resumed, {measurement.segment_count} segments"
    return text


def _placement(variant: measurement_pb2.VariantMeasurement) -> str:
    """Return "static-int8: 40 nodes on CUDAExecutionProvider, 2 on CPUExecutionProvider"."""
    told = [one for one in variant.placements if one.HasField("node_count")]
    shares = [f"{one.node_count} {'nodes ' if one is told[0] else ''}on {one.provider}" for one in told]
    silent = [f"{one.provider} (its part is not told)" for one in variant.placements if not one.HasField("node_count")]
    return f"{variant.label}: {', '.join(shares + silent)}"


def _options(runtime: plan_pb2.RuntimeSpec) -> str:
    parts = []
    if runtime.HasField("intra_op_thread_count"):
        parts.append(f"{runtime.intra_op_thread_count} intra-op threads")
    if runtime.HasField("inter_op_thread_count"):
        parts.append(f"{runtime.inter_op_thread_count} inter-op threads")
    if runtime.graph_optimization:
        level = plan_pb2.GraphOptimization.Name(runtime.graph_optimization).removeprefix("GRAPH_OPTIMIZATION_")
        parts.append(f"graph optimization {level.lower()}")
    if runtime.HasField("spinning"):
        parts.append(f"spinning {'on' if runtime.spinning else 'off'}")
    if runtime.HasField("arena"):
        parts.append(f"arena {'on' if runtime.arena else 'off'}")
    parts += [f"{provider.name} asked for" for provider in runtime.providers]
    parts += [f"{key}={value}" for key, value in sorted(runtime.options.items())]
    return ", ".join(parts) or "the runtime's defaults"


def _timing(measurement: measurement_pb2.Measurement) -> str:
    timing = measurement.plan.timing
    if not timing.sample_window_ms:
        return ""
    if any(one.runtime.name == _BENCHMARK_PROGRAM for one in measurement.variants):
        return (
            f"at least {timing.sample_window_ms} ms of inferences a block after the program's own warm-up, "
            "which looks for no steady state"
        )
    is_curve = measurement.plan.mode.mode == plan_pb2.MODE_SUSTAINED
    window = "a curve" if is_curve else f"{timing.sample_window_ms} ms of samples"
    return (
        f"{window} a block after warm-up until three windows of "
        f"{timing.warmup_window_ms} ms agree within {100 * timing.warmup_tolerance:g} % "
        f"(at most {timing.warmup_cap_ms} ms)"
    )


def _inputs(inputs: plan_pb2.InputSpec) -> str:
    if inputs.data_digest:
        return "samples of the task"
    return f"drawn by signature, seed {inputs.seed}"


def _task(measurement: measurement_pb2.Measurement) -> str:
    count = max((variant.evaluated_count for variant in measurement.variants), default=0)
    return f"{measurement.task_name}, {count} samples" if measurement.task_name and count else measurement.task_name


def _joined(*parts: str) -> str:
    return ", ".join(_unique(part for part in parts if part))


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _kept(*facts: tuple[str, str]) -> Facts:
    return tuple(fact for fact in facts if fact[1])
