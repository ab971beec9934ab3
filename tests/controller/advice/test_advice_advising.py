"""Advice for planted situations: what is advised, in which order, and what is warned of."""

from __future__ import annotations

import dataclasses

import pytest

from steelyard.advice.advising import NEEDS_CALIBRATION, advise
from steelyard.advice.contract import Advice
from steelyard.advice.facts import MeasuredTimes, RuntimeFacts, Situation
from steelyard.advice.reading import steps_for
from steelyard.advice.recipe_rules import RECIPE_RULES
from steelyard.advice.warning_rules import WARNING_RULES
from steelyard.compress.inline_text import inline_text, parse_inline
from steelyard.compress.recipe import Recipe
from steelyard.compress.registry import step_kinds
from tests.controller.advice import situations
from tests.controller.advice.situations import device, layer, situation, table


def _recipes(advice: Advice) -> list[str]:
    return [one.recipe for one in advice.recipes]


def _warned(advice: Advice) -> set[str]:
    return {one.id for one in advice.warnings}


def _situations() -> list[Situation]:
    layers = (
        *(situations.RESNET, situations.MOBILENET, situations.TRANSFORMER, situations.PERCEPTRON, situations.LSTM),
        *(situations.CONTROL_FLOW, situations.TFLITE_NET),
    )
    devices = [
        device(),
        device(situations.AVX2),
        device(situations.CORTEX_A72, "aarch64"),
        device(situations.CORTEX_A76, "aarch64"),
        device(frozenset(), "riscv64"),
        device(emulated_by="qemu-user"),
    ]
    runtimes = ["onnxruntime", "litert", "openvino", "tflite-runtime"]
    return [situation(one, on, runtime=runtime) for one in layers for on in devices for runtime in runtimes]


def _known(recipe: str) -> bool:
    return {step.partition(",")[0] for step in recipe.split("+")} <= set(step_kinds())


def test_convolutions_on_a_core_with_vnni_are_quantized_statically() -> None:
    advice = advise(situation(situations.RESNET))
    first = advice.recipes[0]
    assert first.recipe == "static-int8"
    assert first.expectation is not None
    assert 1.0 < first.expectation.low < 1.76 < first.expectation.high
    assert "VNNI" in first.expectation.evidence
    assert first.needs == ""
    assert "dynamic-int8" not in _recipes(advice)
    assert {"dynamic-convolutions", "float16-no-halves", "dynamic-touches-little"} <= _warned(advice)
    assert {"no-int8-dot", "u8s8-saturates"}.isdisjoint(_warned(advice))


def test_transformers_are_quantized_dynamically_first_and_need_no_data_for_that() -> None:
    advice = advise(situation(situations.TRANSFORMER, has_calibration=False))
    assert _recipes(advice)[:2] == ["dynamic-int8", "static-int8"]
    assert advice.recipes[0].needs == ""
    assert advice.recipes[1].needs == NEEDS_CALIBRATION
    assert [one.recipe for one in advice.to_try(3)] == ["dynamic-int8", "weight-only"]
    assert any("--task" in note for note in advice.notes)


def test_without_an_int8_dot_product_only_float_speed_is_expected() -> None:
    for features, architecture in ((situations.AVX2, "x86_64"), (situations.CORTEX_A72, "aarch64")):
        advice = advise(situation(situations.RESNET, device(features, architecture)))
        assert "no-int8-dot" in _warned(advice)
        assert advice.recipes[0].expectation is not None
        assert advice.recipes[0].expectation.low < 1.0


def test_saturating_sums_are_warned_of_where_they_are() -> None:
    advice = advise(situation(situations.RESNET, device(situations.AVX2)))
    (warning,) = [one for one in advice.warnings if one.id == "u8s8-saturates"]
    assert "reduce_range" in warning.text
    assert "static-int8,weight_type=uint8,per_channel=false" in _recipes(advice)
    on_arm = advise(situation(situations.RESNET, device(situations.CORTEX_A72, "aarch64")))
    assert "u8s8-saturates" not in _warned(on_arm)


def test_depthwise_convolutions_get_the_careful_recipe_beside_the_plain_one() -> None:
    recipes = _recipes(advise(situation(situations.MOBILENET)))
    assert recipes[0] == "static-int8"
    assert "equalize+static-int8+bias-correction" in recipes
    assert "equalize+static-int8+bias-correction" not in _recipes(advise(situation(situations.RESNET)))


def test_spelled_out_activations_are_folded_first_and_little_is_expected_of_static() -> None:
    advice = advise(situation(situations.SPELLED_OUT))
    assert [one.recipe for one in advice.recipes][:2] == ["fold", "static-int8"]
    static = next(one for one in advice.recipes if one.recipe == "static-int8")
    assert static.expectation is not None
    assert (static.expectation.low, static.expectation.high) == (0.5, 1.4)
    assert "fold" not in {one.recipe for one in advise(situation(situations.MOBILENET)).recipes}


def test_a_warning_of_no_gain_leaves_room_for_folding() -> None:
    head = layer("Gemm", 1_000, parameters=1_000)
    plain = advise(situation(table(*situations.MOBILENET.layers[:2], head)))
    spelled = advise(situation(table(*situations.SPELLED_OUT.layers, head)))
    highs = [
        claim.high
        for advice in (plain, spelled)
        for warning in advice.warnings
        if warning.id == "dynamic-touches-little"
        for claim in warning.claims
    ]
    assert highs == [1.2, 1.7]


def test_recurrent_layers_are_quantized_dynamically_and_static_is_warned_of() -> None:
    advice = advise(situation(situations.LSTM, has_calibration=False))
    assert advice.recipes[0].recipe == "dynamic-int8"
    assert "LSTM" in advice.recipes[0].reason
    assert "static-int8" not in _recipes(advice)
    assert "recurrent-stays-float" in _warned(advice)
    gru = situations.table(situations.layer("GRU", 30_000_000, parameters=900_000))
    assert _recipes(advise(situation(gru))) == ["weight-only"]


def test_on_arm_both_signs_are_tried_and_float16_where_there_are_halves() -> None:
    newer = advise(situation(situations.RESNET, device(situations.CORTEX_A76, "aarch64")))
    assert {"static-int8", "static-int8,activation_type=int8", "float16"} <= set(_recipes(newer))
    assert "float16-no-halves" not in _warned(newer)
    older = advise(situation(situations.RESNET, device(situations.CORTEX_A72, "aarch64")))
    assert "float16" not in _recipes(older)
    assert "float16-no-halves" in _warned(older)


def test_litert_runs_transformers_dynamically_and_warns_of_static() -> None:
    advice = advise(situation(situations.TRANSFORMER, runtime="litert"))
    assert _recipes(advice)[0] == "dynamic-int8"
    assert "static-int8" not in _recipes(advice)
    assert "litert-static-transformer" in _warned(advice)
    convolutions = advise(situation(situations.TFLITE_NET, runtime="litert"))
    assert _recipes(convolutions)[:2] == ["static-int8", "dynamic-int8"]
    assert {"litert-16x8", "litert-int4-convolutions", "float16-unpacked"} <= _warned(convolutions)


def test_what_only_saves_space_comes_last_and_only_where_there_is_some_to_save() -> None:
    large = advise(situation(situations.TRANSFORMER))
    assert large.recipes[-1].recipe == "weight-only"
    assert large.recipes[-1].saves_only_space
    # Products of many rows run faster by packed weights in onnxruntime, convolutions do not.
    assert "weight-only-saves-file" not in _warned(large)
    assert "weight-only-saves-file" in _warned(advise(situation(situations.MOBILENET)))
    assert "weight-only-saves-file" in _warned(advise(situation(situations.TFLITE_NET, runtime="litert")))
    assert "weight-only" not in _recipes(advise(situation(situations.RESNET)))
    # Each weight of a perceptron is used once: fewer bytes may well be faster there.
    wide = advise(situation(situations.table(situations.layer("Gemm", 4_000_000, parameters=4_000_000))))
    assert "weight-only-saves-file" not in _warned(wide)
    assert not next(one for one in wide.recipes if one.recipe == "weight-only").saves_only_space


def test_a_model_that_is_quantized_already_gets_no_recipe_but_the_reason() -> None:
    advice = advise(situation(situations.RESNET, form="int8"))
    assert advice.recipes == ()
    assert advice.warnings == ()
    assert any("int8 already" in note for note in advice.notes)


def test_what_cannot_be_counted_is_said_and_nothing_is_made_up() -> None:
    advice = advise(situation(situations.CONTROL_FLOW))
    assert any("which of its graphs runs" in note for note in advice.notes)
    assert advice.recipes == ()


def test_nothing_is_expected_of_an_emulated_device() -> None:
    advice = advise(situation(situations.RESNET, device(emulated_by="qemu-user on x86_64")))
    assert all(one.expectation is None for one in advice.recipes)
    assert any("emulated" in note for note in advice.notes)


def test_an_accelerator_is_not_judged_by_the_processor() -> None:
    advice = advise(situation(situations.RESNET, provider="TensorrtExecutionProvider"))
    assert _recipes(advice) == ["float16", "static-int8,activation_type=int8"]
    assert all(one.expectation is None for one in advice.recipes)
    assert advice.warnings == ()
    assert any("TensorrtExecutionProvider runs the model" in note for note in advice.notes)


def test_an_accelerator_that_is_there_and_a_runtime_that_is_not_are_said() -> None:
    gpu = RuntimeFacts(
        name="onnxruntime", version="1.32.0", providers=("CUDAExecutionProvider", "CPUExecutionProvider")
    )
    advice = advise(situation(situations.RESNET, device(runtimes=(gpu,))))
    assert any("the device has CUDAExecutionProvider, too" in note for note in advice.notes)
    missing = advise(situation(situations.TFLITE_NET, runtime="tflite-runtime"))
    assert any("was not found on bench (it is not installed)" in note for note in missing.notes)
    assert "tflite-runtime-int8" in _warned(missing)


def test_weights_that_fill_the_memory_are_said() -> None:
    advice = advise(situation(situations.RESNET, device(memory_bytes=500_000)))
    assert any("may not load there at all" in note for note in advice.notes)


def test_measured_times_bound_what_is_expected() -> None:
    shares = {"FusedConv": 0.3, "Gemm": 0.1, "Resize": 0.6}
    times = MeasuredTimes(job_id="0123456789abcdef", shares=shares)
    plain, bounded = (advise(situation(situations.RESNET, times=one)).recipes[0].expectation for one in (None, times))
    assert plain is not None
    assert bounded is not None
    # Amdahl: 40 % of the time, as many times faster as was expected of all of it.
    assert bounded.high == pytest.approx(1 / (0.6 + 0.4 / plain.high))
    assert "40 % of this model's time here" in bounded.evidence
    (warning,) = [
        one for one in advise(situation(situations.RESNET, times=times)).warnings if one.id == "bound-by-the-rest"
    ]
    assert "60 % of the time" in warning.text
    assert "most in Resize, 60 %" in warning.text
    assert warning.claims[0].high == pytest.approx(1.25 / 0.6)


def test_a_step_that_there_is_not_is_not_advised() -> None:
    known = frozenset({"float16", "dynamic-int8"})
    assert _recipes(advise(situation(situations.TRANSFORMER, step_kinds=known))) == ["dynamic-int8"]


@pytest.mark.parametrize("one", _situations())
def test_all_advice_can_be_run_and_every_warning_checked(one: Situation) -> None:
    advice = advise(one)
    recipes = _recipes(advice)
    assert len(recipes) == len(set(recipes))
    for advised in advice.recipes:
        assert advised.reason
        if advised.expectation is not None:
            assert 0 < advised.expectation.low <= advised.expectation.high
    spaces = [advised.saves_only_space for advised in advice.recipes]
    assert spaces == sorted(spaces)
    for text in [*recipes, *(claim.recipe for warning in advice.warnings for claim in warning.claims)]:
        if _known(text):
            # In the words of the variants that it makes, so that a measurement of one is found.
            assert inline_text(Recipe(parse_inline(text)).step_list) == text


def test_rules_have_names_of_their_own() -> None:
    for rules in (RECIPE_RULES, WARNING_RULES):
        assert len({rule.id for rule in rules}) == len(rules)
    assert all(dataclasses.is_dataclass(rule) for rule in (*RECIPE_RULES, *WARNING_RULES))


def test_steps_are_those_of_the_format() -> None:
    assert "sparse-encoding" not in steps_for("onnx")
    assert "equalize" not in steps_for("tflite")
    assert {"static-int8", "float16"} <= steps_for("tflite") & steps_for("onnx")
