"""Repairs in order of cost, of what there is and was not tried."""

from __future__ import annotations

from steelyard.advice.reading import steps_for
from steelyard.advice.repairs import repairs
from steelyard.compress.recipe_text import load_recipe


def test_repairs_come_by_cost_and_leave_out_what_was_tried() -> None:
    found = repairs("onnx", max_drop=0.005, step_kinds=steps_for("onnx"))
    assert [one.recipe for one in found] == [
        "static-int8,calibration_method=percentile",
        "static-int8,calibration_method=mse",
        "static-int8,calibration_method=entropy",
        "equalize+static-int8+bias-correction",
        "static-int8+adaround",
        "equalize+static-int8+bias-correction+adaround",
        "static-int8+bias-correction+fallback,max_drop=0.005",
    ]
    left = repairs(
        "onnx", max_drop=0.005, step_kinds=steps_for("onnx"), tried=frozenset({"equalize+static-int8+bias-correction"})
    )
    assert [one.recipe for one in left] == [one.recipe for one in found if one is not found[3]]


def test_every_repair_is_a_recipe_of_its_format() -> None:
    for model_format in ("onnx", "tflite"):
        kinds = steps_for(model_format)
        for repair in repairs(model_format, max_drop=0.01, step_kinds=kinds):
            recipe = load_recipe(repair.recipe)
            assert {step.kind for step in recipe.step_list} <= kinds
            assert repair.reason
            assert repair.costs


def test_a_bound_that_is_the_default_is_named_as_the_variant_will_be() -> None:
    last = repairs("onnx", max_drop=0.01, step_kinds=steps_for("onnx"))[-1]
    assert last.recipe == "static-int8+bias-correction+fallback"


def test_tflite_gets_what_works_on_it() -> None:
    found = [one.recipe for one in repairs("tflite", max_drop=0.01, step_kinds=steps_for("tflite"))]
    assert found[0] == "static-int8,calibration_method=percentile"
    assert "dynamic-int8" in found
    assert not any("equalize" in one or "fallback" in one for one in found)
