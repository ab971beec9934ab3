"""The verdict on a device's outputs: beside the controller's own run of the same file, and beside other devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from steelyard.layers.contract import LayerTable
from steelyard.numeric.outputs import CheckedOutputs
from steelyard.stats.agreement import Agreement, Rounding, argmax_agreement, compare_arrays, odd_count
from steelyard_protocol.v1 import measurement_pb2, plan_pb2, result_pb2

# Providers that compute floats as the controller's own kernels do; others may hold them in halves on the way (CUDA's
# TF32 has 10 bits of mantissa, many NPUs and GPU delegates compute in float16).
_IN_FLOAT32 = frozenset({"CPUExecutionProvider", "CPU", "XNNPACK", "XnnpackExecutionProvider"})
# What the adapter of a runtime that chooses by itself says of its choice.
_IN_HALVES = ("computes in bf16", "computes in f16", "computes in dynamic")
_WHOLE = frozenset({"int8", "uint8", "int4", "uint4", "int2", "uint2", "int16", "uint16"})
_HALVES = frozenset({"float16", "bfloat16"})
_FUSES_LESS = "found in a copy with every layer as an output, which fuses less than the model as it is timed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherOutputs:
    """What another device answered to the same model and inputs."""

    device: str
    runtime: str
    outputs: CheckedOutputs


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericEvidence:
    """The block of the check and what it and others answered; ``reason`` says why nothing is compared, "" for nothing.

    ``layers`` are those of the model's file, or why they are not known.
    """

    block: result_pb2.BlockResult
    is_tflite: bool = False
    outputs: CheckedOutputs | None = None
    reference: CheckedOutputs | None = None
    reference_runtime: str = ""
    reason: str = ""
    form: Rounding = Rounding.FLOAT32
    layers: LayerTable | str = ""
    others: tuple[OtherOutputs, ...] = ()


def model_form(layers: LayerTable | str) -> Rounding:
    """Return how coarsely the kernels of a model may round, by its weights and operators; halves where not known."""
    if isinstance(layers, str):
        return Rounding.HALF
    dtypes = {layer.weight_dtype for layer in layers.layers}
    kinds = {layer.kind.lower() for layer in layers.layers}
    if dtypes & _WHOLE or any("quantize" in kind or "qlinear" in kind or kind.endswith("integer") for kind in kinds):
        return Rounding.QUANTIZED
    return Rounding.HALF if dtypes & _HALVES else Rounding.FLOAT32


def numeric_check(
    plan: plan_pb2.Plan, evidence: NumericEvidence | None, *, asks_layers: bool
) -> measurement_pb2.NumericCheck:
    """Return what is said of one artifact's outputs; ``evidence`` is None where its block never ran."""
    if evidence is None or evidence.outputs is None:
        return _not_checked(_why_nothing(plan, evidence))
    theirs = evidence.outputs
    check = measurement_pb2.NumericCheck(sample_count=plan.numeric.sample_count, outputs_digest=theirs.digest)
    check.other_devices.extend(_differences(theirs, evidence))
    odd = {name: odd_count(values) for name, values in theirs.outputs.items()}
    if any(odd.values()):
        check.verdict = measurement_pb2.NUMERIC_VERDICT_NOT_FINITE
        check.because = _odd_words(odd, evidence)
    elif evidence.reference is None:
        check.verdict, check.because = measurement_pb2.NUMERIC_VERDICT_NOT_CHECKED, evidence.reason
    else:
        _compare(check, theirs, evidence.reference, evidence)
    if asks_layers:
        _look_at_layers(check, theirs, evidence)
    return check


def not_shippable(check: measurement_pb2.NumericCheck) -> str:
    """Return why an artifact must not be shipped by its outputs, "" where nothing speaks against it."""
    return check.because if check.verdict == measurement_pb2.NUMERIC_VERDICT_NOT_FINITE else ""


def add_numeric(
    plan: plan_pb2.Plan,
    variants: Sequence[measurement_pb2.VariantMeasurement],
    evidence: Mapping[str, NumericEvidence],
    *,
    asks_layers: bool,
) -> None:
    """Add the check of each variant of a measurement; ``evidence`` is by label."""
    for one in variants:
        one.numeric.CopyFrom(numeric_check(plan, evidence.get(one.label), asks_layers=asks_layers))


def numeric_warnings(variants: Sequence[measurement_pb2.VariantMeasurement]) -> list[str]:
    """Return what a reader must know of the outputs before trusting any figure, a sentence each."""
    warnings = []
    for one in variants:
        check = one.numeric
        if check.verdict == measurement_pb2.NUMERIC_VERDICT_NOT_FINITE:
            warnings.append(f"{one.label} must not be shipped: {check.because}")
        elif check.verdict == measurement_pb2.NUMERIC_VERDICT_DIVERGES:
            warnings.append(f"{one.label} does not answer as it should on this device: {check.because}")
        warnings += [f"{one.label}: {sentence}" for sentence in check.other_devices]
    return warnings


def _not_checked(because: str) -> measurement_pb2.NumericCheck:
    return measurement_pb2.NumericCheck(verdict=measurement_pb2.NUMERIC_VERDICT_NOT_CHECKED, because=because)


def _why_nothing(plan: plan_pb2.Plan, evidence: NumericEvidence | None) -> str:
    if not plan.HasField("numeric"):
        return "it was switched off (--no-numeric-check)"
    if plan.numeric.reason:
        return plan.numeric.reason
    return evidence.reason if evidence is not None else "its block did not run"


def _rounding(evidence: NumericEvidence) -> Rounding:
    if evidence.form is not Rounding.FLOAT32:
        return evidence.form
    halves = any(words in note for note in evidence.block.notes for words in _IN_HALVES)
    exact = not halves and _IN_FLOAT32.issuperset(evidence.block.providers)
    return Rounding.FLOAT32 if exact else Rounding.HALF


def _compare(
    check: measurement_pb2.NumericCheck, theirs: CheckedOutputs, ours: CheckedOutputs, evidence: NumericEvidence
) -> None:
    against = f"{evidence.reference_runtime} on the controller"
    if trouble := _other_outputs(theirs, ours):
        check.verdict = measurement_pb2.NUMERIC_VERDICT_DIVERGES
        check.because = f"{trouble}, against {against}"
        return
    if odd := next((name for name, values in ours.outputs.items() if odd_count(values)), ""):
        check.verdict = measurement_pb2.NUMERIC_VERDICT_DIVERGES
        check.because = f"output {odd!r} is finite on the device and NaN or infinite by {against}"
        return
    rounding = _rounding(evidence)
    name, worst = _worst(ours.outputs, theirs.outputs, rounding)
    _put(check, worst)
    first = next(iter(ours.outputs))
    classes = argmax_agreement(ours.outputs[first], theirs.outputs[first])
    if classes is not None:
        check.argmax_agreement = classes[0] / classes[1]
    agrees = worst.explained
    verdict = measurement_pb2.NUMERIC_VERDICT_AGREES if agrees else measurement_pb2.NUMERIC_VERDICT_DIVERGES
    check.verdict = verdict
    where = f"output {name!r} " if len(ours.outputs) > 1 else ""
    check.because = f"{where}{_words(worst, rounding)}, against {against}{_class_words(classes, agrees)}"


def _put(check: measurement_pb2.NumericCheck, worst: Agreement) -> None:
    check.max_absolute_error = worst.max_absolute_error
    if worst.cosine is not None:
        check.cosine = worst.cosine
    if worst.sqnr_db is not None:
        check.sqnr_db = worst.sqnr_db


def _worst(
    ours: Mapping[str, NDArray[Any]], theirs: Mapping[str, NDArray[Any]], rounding: Rounding
) -> tuple[str, Agreement]:
    """Return the output that rounding explains least."""
    compared = {name: compare_arrays(values, theirs[name], rounding) for name, values in ours.items() if values.size}
    name = max(compared, key=lambda one: compared[one].beyond)
    return name, compared[name]


def _other_outputs(theirs: CheckedOutputs, ours: CheckedOutputs) -> str:
    """Return in what the outputs differ before any value is looked at, "" in nothing."""
    if set(theirs.outputs) != set(ours.outputs):
        return f"the outputs are {', '.join(theirs.outputs)} and not {', '.join(ours.outputs)}"
    for name, values in ours.outputs.items():
        mine = theirs.outputs[name]
        if (mine.shape, mine.dtype) != (values.shape, values.dtype):
            return f"output {name!r} is {mine.dtype} {list(mine.shape)} and not {values.dtype} {list(values.shape)}"
    return "" if any(values.size for values in ours.outputs.values()) else "no output holds any value"


def _words(worst: Agreement, rounding: Rounding) -> str:
    if worst.max_absolute_error == 0.0:
        return "equal bit by bit"
    share = "" if worst.range_share is None else f" ({_share(worst.range_share)} of the range)"
    kind = {"float32": "float32", "half": "half-precision", "quantized": "quantized"}[rounding.value]
    what = f"rounding of {kind} kernels explains it" if worst.explained else f"more than {kind} kernels' rounding"
    return f"largest difference {worst.max_absolute_error:.2g}{share}: {what}"


def _share(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= 1e-4 else f"{share:.1e}"


def _class_words(classes: tuple[int, int] | None, agrees: bool) -> str:
    if classes is None or (agrees and classes[0] == classes[1]):
        return ""
    if classes[0] == classes[1]:
        return f"; the same argmax in all {classes[1]}"
    return f"; {classes[1] - classes[0]} of {classes[1]} argmax differ"


def _odd_words(odd: Mapping[str, int], evidence: NumericEvidence) -> str:
    name = next(name for name, count in odd.items() if count)
    assert evidence.outputs is not None
    words = f"{odd[name]} of {evidence.outputs.outputs[name].size} values of output {name!r} are NaN or infinite"
    ours = None if evidence.reference is None else evidence.reference.outputs.get(name)
    if ours is None:
        return words
    where = "on the controller too" if odd_count(ours) else "on this device, and finite on the controller"
    return f"{words} {where}"


def _differences(theirs: CheckedOutputs, evidence: NumericEvidence) -> list[str]:
    """Return a sentence for each other device whose outputs rounding does not explain."""
    rounding = _rounding(evidence)
    sentences = []
    for other in evidence.others:
        words = _difference_words(theirs, other.outputs, rounding)
        if words:
            sentences.append(f"{other.device} ({other.runtime}) answers differently: {words}")
    return sentences


def _difference_words(theirs: CheckedOutputs, others: CheckedOutputs, rounding: Rounding) -> str:
    if trouble := _other_outputs(theirs, others):
        return trouble
    odd = [sum(odd_count(values) for values in one.outputs.values()) for one in (theirs, others)]
    if any(odd):
        same = odd[0] and odd[1]
        return "" if same else "NaN or infinite values on one of the two only"
    _, worst = _worst(others.outputs, theirs.outputs, rounding)
    if worst.explained:
        return ""
    first = next(iter(theirs.outputs))
    classes = argmax_agreement(others.outputs[first], theirs.outputs[first])
    cosine = "" if worst.cosine is None else f"cosine {worst.cosine:.4g}, "
    return f"{cosine}largest difference {worst.max_absolute_error:.2g}{_class_words(classes, agrees=False)}"


def _look_at_layers(check: measurement_pb2.NumericCheck, theirs: CheckedOutputs, evidence: NumericEvidence) -> None:
    reason = _no_layers(theirs, evidence)
    if reason:
        check.because = f"{check.because}; layers were not looked at: {reason}"
        return
    assert evidence.reference is not None
    ours = _in_order(evidence.reference.layers, evidence.layers)
    name = _first_diverging(theirs.layers, ours, _rounding(evidence))
    if not name:
        check.because = f"{check.because}; none of {len(theirs.layers)} outputs of layers diverges"
        return
    check.first_diverging_layer = _layer_name(name, evidence.layers)
    check.because = f"{check.because}; the first layer that diverges is {check.first_diverging_layer}, {_FUSES_LESS}"


def _no_layers(theirs: CheckedOutputs, evidence: NumericEvidence) -> str:
    if evidence.is_tflite:
        return "a TFLite interpreter keeps no tensor of a layer that a delegate such as XNNPACK runs"
    note = next((note for note in evidence.block.notes if "layers could not be looked at" in note), "")
    if note:
        return note.partition(": ")[2]
    if not theirs.layers:
        return "no copy of the model with its layers as outputs could be made"
    if evidence.reference is None or not evidence.reference.layers:
        return "the controller has no outputs of layers to compare with"
    return ""


def _in_order(outputs: Mapping[str, NDArray[Any]], layers: LayerTable | str) -> dict[str, NDArray[Any]]:
    """Return outputs in the order in which the model makes them: a session gives the model's own ones first."""
    if isinstance(layers, str):
        return dict(outputs)
    places = {name: layer.index for layer in layers.layers for name in layer.outputs}
    return {name: outputs[name] for name in sorted(outputs, key=lambda name: places.get(name, len(places)))}


def _first_diverging(theirs: Mapping[str, NDArray[Any]], ours: Mapping[str, NDArray[Any]], rounding: Rounding) -> str:
    for name, values in ours.items():
        mine = theirs.get(name)
        if mine is None or not values.size:
            continue
        if (mine.shape, mine.dtype) != (values.shape, values.dtype) or odd_count(mine) != odd_count(values):
            return name
        if not odd_count(mine) and not compare_arrays(values, mine, rounding).explained:
            return name
    return ""


def _layer_name(output: str, layers: LayerTable | str) -> str:
    """Return "Conv_3 (Conv, output 'x')", as far as the file tells."""
    found: Sequence[Any] = () if isinstance(layers, str) else [one for one in layers.layers if output in one.outputs]
    return f"{found[0].name} ({found[0].kind}, output {output!r})" if found else f"the one with output {output!r}"
