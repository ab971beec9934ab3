"""What is said of outputs, from planted ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from steelyard.analysis.memory import add_device_memory
from steelyard.analysis.numeric import (
    NumericEvidence,
    OtherOutputs,
    add_numeric,
    model_form,
    not_shippable,
    numeric_check,
    numeric_warnings,
)
from steelyard.layers.contract import Layer, LayerTable
from steelyard.numeric.outputs import CheckedOutputs
from steelyard.stats.agreement import Rounding
from steelyard_protocol.v1 import measurement_pb2, plan_pb2, result_pb2

AGREES, DIVERGES = measurement_pb2.NUMERIC_VERDICT_AGREES, measurement_pb2.NUMERIC_VERDICT_DIVERGES
NOT_FINITE = measurement_pb2.NUMERIC_VERDICT_NOT_FINITE
NOT_CHECKED = measurement_pb2.NUMERIC_VERDICT_NOT_CHECKED
PLAN = plan_pb2.Plan(numeric=plan_pb2.NumericSpec(data_digest="d", sample_count=16))
RUNTIME = "onnxruntime 1.32.0"


def logits(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((16, 10)).astype(np.float32)


def outputs(layers: Mapping[str, np.ndarray] | None = None, **arrays: np.ndarray) -> CheckedOutputs:
    return CheckedOutputs(outputs=arrays, layers=layers or {})


def evidence(theirs: CheckedOutputs, ours: CheckedOutputs | None, **fields: object) -> NumericEvidence:
    block = result_pb2.BlockResult(providers=fields.pop("providers", ["CPUExecutionProvider"]))
    block.notes.extend(fields.pop("notes", []))
    return NumericEvidence(block=block, outputs=theirs, reference=ours, reference_runtime=RUNTIME, **fields)


def checked(found: NumericEvidence | None, *, asks_layers: bool = False) -> measurement_pb2.NumericCheck:
    return numeric_check(PLAN, found, asks_layers=asks_layers)


def noisy(share: float) -> np.ndarray:
    values = logits()
    values[0, 0] += share * (values.max() - values.min())
    return values


def test_equal_outputs_agree_bit_by_bit() -> None:
    check = checked(evidence(outputs(y=logits()), outputs(y=logits())))
    assert check.verdict == AGREES
    assert check.because == f"equal bit by bit, against {RUNTIME} on the controller"
    assert (check.sample_count, check.argmax_agreement, check.HasField("sqnr_db")) == (16, 1.0, False)


def test_other_outputs_diverge_with_every_figure() -> None:
    check = checked(evidence(outputs(y=logits(1)), outputs(y=logits(0))))
    assert check.verdict == DIVERGES
    assert -0.5 < check.cosine < 0.5
    assert check.sqnr_db < 0
    assert check.argmax_agreement < 0.5
    assert "of 16 argmax differ" in check.because
    assert "more than float32 kernels' rounding" in check.because


@pytest.mark.parametrize(
    ("fields", "share", "verdict"),
    [
        ({}, 1e-3, DIVERGES),
        # An accelerator may hold floats in halves.
        ({"providers": ["CUDAExecutionProvider", "CPUExecutionProvider"]}, 1e-3, AGREES),
        ({"notes": ["OpenVINO computes in bf16"], "providers": ["CPU"]}, 4e-3, AGREES),
        ({"notes": ["OpenVINO computes in f32"], "providers": ["CPU"]}, 4e-3, DIVERGES),
        ({"form": Rounding.QUANTIZED}, 1e-4, AGREES),
        ({"form": Rounding.QUANTIZED}, 5e-2, DIVERGES),
    ],
)
def test_what_the_model_and_its_provider_compute_in_says_how_much_is_rounding(
    fields: dict[str, object], share: float, verdict: int
) -> None:
    assert checked(evidence(outputs(y=noisy(share)), outputs(y=logits()), **fields)).verdict == verdict


def test_the_output_that_is_furthest_off_is_the_one_that_is_shown() -> None:
    good = logits(3)
    check = checked(evidence(outputs(a=good, b=noisy(0.1)), outputs(a=good, b=logits())))
    assert check.verdict == DIVERGES
    assert check.because.startswith("output 'b' largest difference")


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (outputs(z=logits()), "the outputs are z and not y"),
        (outputs(y=logits()[:8]), "output 'y' is float32 [8, 10] and not float32 [16, 10]"),
        (outputs(y=logits().astype(np.float16)), "output 'y' is float16"),
    ],
)
def test_outputs_of_another_kind_diverge_by_name(theirs: CheckedOutputs, words: str) -> None:
    check = checked(evidence(theirs, outputs(y=logits())))
    assert check.verdict == DIVERGES
    assert words in check.because


def with_nan() -> np.ndarray:
    values = logits()
    values[2, 3], values[4, 5] = np.nan, np.inf
    return values


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        (outputs(y=logits()), "on this device, and finite on the controller"),
        (outputs(y=with_nan()), "on the controller too"),
        (None, "2 of 160 values of output 'y' are NaN or infinite"),
    ],
)
def test_nan_and_infinity_are_never_shipped(ours: CheckedOutputs | None, words: str) -> None:
    check = checked(evidence(outputs(y=with_nan()), ours, reason="" if ours else "no LiteRT"))
    assert check.verdict == NOT_FINITE
    assert words in check.because
    assert not_shippable(check) == check.because


def test_nan_on_the_controller_alone_diverges() -> None:
    check = checked(evidence(outputs(y=logits()), outputs(y=with_nan())))
    assert check.verdict == DIVERGES
    assert "finite on the device" in check.because
    assert not_shippable(check) == ""


def test_without_a_reference_it_says_why_nothing_was_compared() -> None:
    check = checked(evidence(outputs(y=logits()), None, reason="pip install 'steelyard[litert]'"))
    assert (check.verdict, check.because) == (NOT_CHECKED, "pip install 'steelyard[litert]'")
    assert len(check.outputs_digest) == 64


@pytest.mark.parametrize(
    ("plan", "found", "because"),
    [
        (plan_pb2.Plan(), None, "it was switched off (--no-numeric-check)"),
        (plan_pb2.Plan(numeric=plan_pb2.NumericSpec(reason="no size")), None, "no size"),
        (PLAN, None, "its block did not run"),
        (PLAN, NumericEvidence(block=result_pb2.BlockResult(), reason="outputs are not told on a cable"), "on a cable"),
    ],
)
def test_what_was_not_checked_says_why(plan: plan_pb2.Plan, found: NumericEvidence | None, because: str) -> None:
    check = numeric_check(plan, found, asks_layers=True)
    assert check.verdict == NOT_CHECKED
    assert because in check.because


def layer(index: int, name: str, output: str, **fields: object) -> Layer:
    return Layer(
        index=index,
        name=name,
        kind=fields.pop("kind", "Conv"),
        inputs=("x",),
        outputs=(output,),
        mac_count=1,
        parameter_count=1,
        byte_count=1,
        **fields,
    )


TABLE = LayerTable(layers=(layer(0, "first", "a"), layer(1, "second", "b"), layer(2, "last", "y")), parameter_count=3)


def test_the_first_layer_in_the_models_order_is_named() -> None:
    # A session gives the model's own output first.
    ours = {"y": logits(9), "a": logits(1), "b": logits(2)}
    theirs = {"y": logits(8), "a": logits(1), "b": logits(7)}
    found = evidence(outputs(theirs, y=logits(8)), outputs(ours, y=logits(9)), layers=TABLE)
    check = checked(found, asks_layers=True)
    assert check.first_diverging_layer == "second (Conv, output 'b')"
    assert "fuses less than the model as it is timed" in check.because


def test_layers_that_all_agree_are_counted() -> None:
    same = {"a": logits(1), "b": logits(2)}
    found = evidence(outputs(same, y=logits()), outputs(same, y=logits()), layers=TABLE)
    check = checked(found, asks_layers=True)
    assert check.first_diverging_layer == ""
    assert "none of 2 outputs of layers diverges" in check.because


def test_a_layer_that_turns_to_nan_on_the_device_is_the_one() -> None:
    ours = {"a": logits(1), "b": logits(2)}
    theirs = {"a": logits(1), "b": with_nan()}
    found = evidence(outputs(theirs, y=with_nan()), outputs(ours, y=logits()), layers=TABLE)
    check = checked(found, asks_layers=True)
    assert check.verdict == NOT_FINITE
    assert check.first_diverging_layer == "second (Conv, output 'b')"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"is_tflite": True}, "a TFLite interpreter keeps no tensor"),
        ({"notes": ["the layers could not be looked at: no memory"]}, "no memory"),
        ({}, "no copy of the model"),
    ],
)
def test_layers_that_were_not_looked_at_say_why(fields: dict[str, object], words: str) -> None:
    check = checked(evidence(outputs(y=logits()), outputs(y=logits()), **fields), asks_layers=True)
    assert check.verdict == AGREES
    assert f"layers were not looked at: {words}" in check.because


def test_another_device_that_answers_differently_is_a_sentence() -> None:
    other = OtherOutputs(device="pi4", runtime="litert 2.3.0, XNNPACK", outputs=outputs(y=logits(1)))
    check = checked(evidence(outputs(y=logits()), outputs(y=logits()), others=(other,)))
    assert check.verdict == AGREES
    (sentence,) = check.other_devices
    assert sentence.startswith("pi4 (litert 2.3.0, XNNPACK) answers differently: cosine ")
    assert "of 16 argmax differ" in sentence


@pytest.mark.parametrize("theirs", [logits(), noisy(1e-6)])
def test_another_device_that_only_rounds_differently_is_none(theirs: np.ndarray) -> None:
    other = OtherOutputs(device="pi4", runtime="onnxruntime 1.32.0", outputs=outputs(y=theirs))
    assert not checked(evidence(outputs(y=logits()), None, reason="none", others=(other,))).other_devices


def test_nan_on_one_of_two_devices_is_a_finding_and_on_both_is_none() -> None:
    other = OtherOutputs(device="pi4", runtime="r", outputs=outputs(y=with_nan()))
    one = checked(evidence(outputs(y=logits()), outputs(y=logits()), others=(other,)))
    assert one.other_devices == ["pi4 (r) answers differently: NaN or infinite values on one of the two only"]
    assert not checked(evidence(outputs(y=with_nan()), None, reason="none", others=(other,))).other_devices


@pytest.mark.parametrize(
    ("layers", "form"),
    [
        ("the file cannot be read", Rounding.HALF),
        (LayerTable(layers=(layer(0, "c", "y", weight_dtype="float32"),), parameter_count=1), Rounding.FLOAT32),
        (LayerTable(layers=(layer(0, "c", "y", weight_dtype="float16"),), parameter_count=1), Rounding.HALF),
        (LayerTable(layers=(layer(0, "c", "y", weight_dtype="int8"),), parameter_count=1), Rounding.QUANTIZED),
        (LayerTable(layers=(layer(0, "q", "y", kind="QuantizeLinear"),), parameter_count=1), Rounding.QUANTIZED),
        (LayerTable(layers=(layer(0, "q", "y", kind="MatMulInteger"),), parameter_count=1), Rounding.QUANTIZED),
    ],
)
def test_a_models_form_follows_from_its_weights_and_operators(layers: LayerTable | str, form: Rounding) -> None:
    assert model_form(layers) is form


def test_equal_outputs_have_equal_digests_and_one_bit_makes_another() -> None:
    other = logits()
    other[0, 0] = np.nextafter(other[0, 0], np.float32(9))
    digests = {one.digest for one in (outputs(y=logits()), outputs(y=logits()), outputs(y=other), outputs(z=logits()))}
    assert len(digests) == 3


def test_every_variant_has_a_check_and_wrong_ones_are_warnings() -> None:
    variants = [measurement_pb2.VariantMeasurement(label=label) for label in ("good", "wrong", "nan", "unseen")]
    found = {
        "good": evidence(outputs(y=logits()), outputs(y=logits())),
        "wrong": evidence(outputs(y=logits(1)), outputs(y=logits())),
        "nan": evidence(outputs(y=with_nan()), outputs(y=logits())),
    }
    add_numeric(PLAN, variants, found, asks_layers=False)
    assert [one.numeric.verdict for one in variants] == [AGREES, DIVERGES, NOT_FINITE, NOT_CHECKED]
    wrong, nan = numeric_warnings(variants)
    assert wrong.startswith("wrong does not answer as it should on this device: largest difference")
    assert nan.startswith("nan must not be shipped: 2 of 160 values")


def memory_round(pass_kind: int, **memory: object) -> result_pb2.RoundResult:
    block = result_pb2.BlockResult(label="m", memory=result_pb2.MemoryProfile(**memory))
    return result_pb2.RoundResult(pass_kind=pass_kind, blocks=[block])


LATENCY, NUMERIC = result_pb2.PASS_LATENCY, result_pb2.PASS_NUMERIC


def memory_of(plan: plan_pb2.Plan, *rounds: result_pb2.RoundResult) -> result_pb2.MemoryProfile:
    variant = measurement_pb2.VariantMeasurement(label="m")
    add_device_memory(plan, [variant], rounds)
    return variant.memory


def test_the_least_available_memory_is_that_of_the_timed_blocks() -> None:
    rounds = [memory_round(LATENCY, least_available_bytes=size) for size in (700, 300, 900)]
    memory = memory_of(PLAN, *rounds, memory_round(NUMERIC, least_available_bytes=5, arena_bytes=64, arena_source="s"))
    assert (memory.least_available_bytes, memory.arena_bytes, memory.arena_source) == (300, 64, "s")


@pytest.mark.parametrize(
    ("plan", "rounds", "words"),
    [
        (plan_pb2.Plan(), (), "--no-numeric-check"),
        (PLAN, (), "did not run"),
        (PLAN, (memory_round(NUMERIC, arena_source="no statistics"),), "no statistics"),
        (PLAN, (memory_round(NUMERIC),), "the device did not tell"),
    ],
)
def test_an_arena_that_is_not_known_says_why(
    plan: plan_pb2.Plan, rounds: tuple[result_pb2.RoundResult, ...], words: str
) -> None:
    memory = memory_of(plan, *rounds)
    assert not memory.HasField("arena_bytes")
    assert not memory.HasField("least_available_bytes")
    assert words in memory.arena_source
