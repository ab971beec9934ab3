"""What ran where: a profile of operators beside the layers of the model's file and what the device can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steelyard.analysis.emulation import not_a_latency
from steelyard.analysis.layer_match import match_layers
from steelyard.analysis.operator_findings import Seen, findings
from steelyard.layers.contract import Layer, LayerTable
from steelyard_protocol.v1 import measurement_pb2, plan_pb2, result_pb2

FLOAT_RATE, READ_RATE = "float32 multiply-accumulate", "memory read"
INT8_RATE = "int8 multiply-accumulate"
_MAC_UNIT, _BYTE_UNIT = "MAC/s", "B/s"
_FLOATS = frozenset({"float32", "float16", "bfloat16", "float64"})
_BYTES = frozenset({"int8", "uint8"})
# A model is one of int8 when nearly all that it multiplies is.
_NEARLY_ALL = 0.9
_MOST_NOT_COUNTED_NAMED = 5
_RUNTIME_SUFFIX = "ExecutionProvider"


def device_rates(rounds: Sequence[result_pb2.RoundResult]) -> tuple[list[result_pb2.RooflineRate], str]:
    """Return what the device did in its probe, and why the probe failed, "" when it did not or there was none."""
    rates: list[result_pb2.RooflineRate] = []
    trouble = ""
    for result in rounds:
        if result.pass_kind != result_pb2.PASS_ROOFLINE:
            continue
        for block in result.blocks:
            rates += block.roofline
            if block.status != result_pb2.BLOCK_STATUS_OK:
                trouble = f"what the device can do at most is not known: {block.error.message or 'its probe failed'}"
    return rates, trouble


def add_operators(
    plan: plan_pb2.Plan,
    variants: Sequence[measurement_pb2.VariantMeasurement],
    rounds: Sequence[result_pb2.RoundResult],
    layers: Mapping[str, LayerTable | str],
    emulated_by: str,
) -> None:
    """Add to each variant what is known of its operators, where the plan asks for them or for what a device can do."""
    if not (plan.HasField("operators") or plan.HasField("roofline")):
        return
    rates, _ = device_rates(rounds)
    for planned, variant in zip(plan.artifacts, variants, strict=True):
        p50 = variant.p50_latency
        summary = summarise(
            planned,
            operator_block(rounds, planned.label),
            layers.get(planned.label, "the model's file was not read"),
            p50_ns=p50.value if p50.HasField("value") else None,
            rates=_rates_with_as_many_threads(plan, planned, rates),
        )
        variant.operators.CopyFrom(_of_no_device(summary, emulated_by) if emulated_by else summary)


def _rates_with_as_many_threads(
    plan: plan_pb2.Plan, planned: plan_pb2.PlannedArtifact, rates: Sequence[result_pb2.RooflineRate]
) -> list[result_pb2.RooflineRate]:
    """Return the rates that a model can be held against: two threads reach what one cannot."""
    threads = planned.runtime.intra_op_thread_count or 1
    probed = {model.name: model.runtime.intra_op_thread_count or 1 for model in plan.roofline.models}
    by_numpy = plan.roofline.thread_count or threads
    return [one for one in rates if one.unit != _MAC_UNIT or probed.get(one.name, by_numpy) == threads]


def _of_no_device(summary: measurement_pb2.OperatorSummary, emulated_by: str) -> measurement_pb2.OperatorSummary:
    """Return what holds of a model whatever runs it: an emulated device's times are its emulator's."""
    kept = measurement_pb2.OperatorSummary(reason=not_a_latency(emulated_by))
    for name in ("mac_count", "parameter_count", "byte_count"):
        if summary.HasField(name):
            setattr(kept, name, getattr(summary, name))
    return kept


def operator_block(rounds: Sequence[result_pb2.RoundResult], label: str) -> result_pb2.BlockResult | None:
    """Return the block in which an artifact was profiled, the last one that ended well; None when there is none."""
    blocks = [
        block
        for result in rounds
        if result.pass_kind == result_pb2.PASS_OPERATORS
        for block in result.blocks
        if block.label == label
    ]
    good = [block for block in blocks if block.status == result_pb2.BLOCK_STATUS_OK]
    return good[-1] if good else blocks[-1] if blocks else None


def summarise(
    planned: plan_pb2.PlannedArtifact,
    block: result_pb2.BlockResult | None,
    table: LayerTable | str,
    *,
    p50_ns: float | None,
    rates: Sequence[result_pb2.RooflineRate],
) -> measurement_pb2.OperatorSummary:
    """Return what is known of one artifact's operators.

    Args:
        planned: its place in the plan.
        block: of its profile; None when there was none.
        table: the layers of its file, or why they are not known.
        p50_ns: its median latency, from the timed rounds and never from the profile; None when not measured.
        rates: what the device did in its probe.
    """
    summary = measurement_pb2.OperatorSummary(reason=_why_no_profile(block))
    layers = table if isinstance(table, LayerTable) else None
    operators = list(block.operators.operators) if block is not None else []
    if operators and block is not None:
        _add_operators(summary, planned, block, layers)
    if layers is None:
        summary.findings.append(str(table))
        return summary
    summary.parameter_count = layers.parameter_count
    _add_counts(summary, layers, p50_ns)
    _add_device(summary, layers, rates)
    return summary


def _why_no_profile(block: result_pb2.BlockResult | None) -> str:
    if block is None:
        return "operators were not profiled (--operators)"
    if block.status != result_pb2.BLOCK_STATUS_OK:
        return block.error.message or "profiling failed"
    return block.operators.reason or ("" if block.operators.operators else "the profiler told nothing")


def _add_operators(
    summary: measurement_pb2.OperatorSummary,
    planned: plan_pb2.PlannedArtifact,
    block: result_pb2.BlockResult,
    layers: LayerTable | None,
) -> None:
    profile = block.operators
    operators = list(profile.operators)
    matched: list[tuple[Layer, ...]] = match_layers(operators, layers) if layers is not None else [()] * len(operators)
    total_ns = sum(one.total_ns for one in operators)
    count = max(1, profile.inference_count)
    seen = []
    for one, own in sorted(zip(operators, matched, strict=True), key=lambda pair: -pair[0].total_ns):
        share = measurement_pb2.OperatorShare(
            name=_name(one, own),
            kind=one.kind,
            provider=one.provider,
            mean_ns=one.total_ns / count,
            share=one.total_ns / total_ns if total_ns else 0.0,
            **_counts(own),
        )
        summary.operators.append(share)
        seen.append(
            Seen(
                name=share.name,
                kind=share.kind,
                provider=share.provider,
                share=share.share,
                mac_count=share.mac_count if share.HasField("mac_count") else None,
                is_depthwise=any(layer.is_depthwise for layer in own),
            )
        )
    if not total_ns:
        summary.findings.append("no operator took as long as the profiler's clock can tell")
        return
    summary.findings.extend(
        findings(
            seen,
            asked_provider=_asked(planned, {one.provider for one in operators}),
            mac_count=layers.mac_count if layers is not None else None,
            accounted=total_ns / profile.wall_ns if profile.wall_ns else None,
        )
    )


def _name(operator: result_pb2.OperatorTiming, layers: Sequence[Layer]) -> str:
    """Return the operator's name, the layer's where a runtime only counts its own nodes."""
    return layers[0].name if operator.name.startswith("part ") and layers else operator.name


def _counts(layers: Sequence[Layer]) -> Mapping[str, int]:
    """Return what the layers of an operator do together; the bytes are of the one that multiplies most."""
    if not layers:
        return {}
    known: dict[str, int] = {"parameter_count": sum(layer.parameter_count for layer in layers)}
    if all(layer.mac_count is not None for layer in layers):
        known["mac_count"] = sum(layer.mac_count or 0 for layer in layers)
    main = max(layers, key=lambda layer: layer.mac_count or 0)
    if main.byte_count is not None:
        known["byte_count"] = main.byte_count
    return known


def _asked(planned: plan_pb2.PlannedArtifact, seen: set[str]) -> str:
    """Return the provider that was asked for, as the profile spells it; "" for none."""
    if not planned.runtime.providers:
        return ""
    name = planned.runtime.providers[0].name
    short = name.lower().removesuffix(_RUNTIME_SUFFIX.lower())
    return next((one for one in seen if one.lower().removesuffix(_RUNTIME_SUFFIX.lower()) == short), name)


def _add_counts(summary: measurement_pb2.OperatorSummary, layers: LayerTable, p50_ns: float | None) -> None:
    macs, byte_count = layers.mac_count, layers.byte_count
    if macs is not None:
        summary.mac_count = macs
        if p50_ns:
            summary.mac_per_s = macs * 1e9 / p50_ns
    else:
        summary.findings.append(not_counted_sentence(layers))
    if byte_count is not None:
        summary.byte_count = byte_count
        if p50_ns:
            summary.byte_per_s = byte_count * 1e9 / p50_ns


def not_counted_sentence(layers: LayerTable) -> str:
    """Return which layers' multiply-accumulates are not known, by name, and why, "" when all are."""
    missing = layers.not_counted
    if not missing:
        return ""
    names = ", ".join(layer.name for layer in missing[:_MOST_NOT_COUNTED_NAMED])
    more = len(missing) - _MOST_NOT_COUNTED_NAMED
    rest = f" and {more} more" if more > 0 else ""
    return f"multiply-accumulates not counted: {names}{rest} ({missing[0].reason})"


def _add_device(
    summary: measurement_pb2.OperatorSummary, layers: LayerTable, rates: Sequence[result_pb2.RooflineRate]
) -> None:
    name = _rate_name(layers)
    reached = [
        one.rate_per_s for one in rates if one.unit == _MAC_UNIT and name and one.name.startswith(name) and _known(one)
    ]
    if reached:
        summary.device_mac_per_s = max(reached)
    read = [one.rate_per_s for one in rates if one.unit == _BYTE_UNIT and one.name == READ_RATE and _known(one)]
    if read:
        summary.device_byte_per_s = max(read)


def _known(rate: result_pb2.RooflineRate) -> bool:
    return rate.HasField("rate_per_s")


def _rate_name(layers: LayerTable) -> str:
    """Return which rate of the device a model is held against, by the type of its weights; "" for a mixture."""
    total = layers.counted_mac_count
    for dtypes, name in ((_FLOATS, FLOAT_RATE), (_BYTES, INT8_RATE)):
        if total and layers.of_weight_dtypes(dtypes) >= _NEARLY_ALL * total:
            return name
    return ""
