"""`steelyard sensitivity`: its documented example, its JSON, and what it refuses."""

from __future__ import annotations

from pathlib import Path

from tests.controller.cli.running import Ran


def test_the_documented_example_ranks_the_layers_and_says_what_to_write(steelyard, inputs: Path) -> None:
    ran: Ran = steelyard("sensitivity", inputs / "conv.onnx", "--task", inputs / "data.npz")
    assert ran.code == 0, ran.err
    table = ran.out.partition("\nto keep them in float")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert "quantized operators" in table
    assert "Conv" in table
    assert "everything quantized: outputs at " in table


def test_programs_get_the_report_and_a_second_run_finds_it_again(steelyard, inputs: Path) -> None:
    words = ("sensitivity", inputs / "conv.onnx", "--task", inputs / "data.npz", "--recipe", "static-int8", "--json")
    document = steelyard(*words).document
    assert document["kind"] == "sensitivity"
    assert document["recipe"] == "static-int8"
    ratios = [one["sqnr_db"] for one in document["layers"]]
    assert ratios == sorted(ratios)
    assert document["metrics"]["metric"] == "top1"
    assert document["keep_float"]
    assert steelyard(*words).document == document


def test_what_it_says_to_write_makes_a_variant(steelyard, inputs: Path) -> None:
    ran: Ran = steelyard(
        *(
            "sensitivity",
            inputs / "conv.onnx",
            "--task",
            inputs / "data.npz",
            "--recipe",
            "static-int8,per_channel=false",
        )
    )
    commands = [line for line in ran.out.splitlines() if line.startswith("steelyard compress ")]
    for command in commands:
        made: Ran = steelyard(*command.split()[1:], "--json", "--no-evaluate")
        assert made.code == 0, made.err
    assert len(commands) == ran.out.count("or in one word:")


def test_a_recipe_that_makes_no_integers_is_refused(steelyard, inputs: Path) -> None:
    words = ("sensitivity", inputs / "conv.onnx", "--task", inputs / "data.npz")
    assert "sensitivity" in steelyard(*words, "--recipe", "float16").is_refused()
    assert "static-int8" in steelyard(*words, "--recipe", "dynamic-int8,all_ops=true,weight_type=uint8").is_refused()


def test_without_data_it_says_what_to_give(steelyard, inputs: Path) -> None:
    assert "--task" in steelyard("sensitivity", inputs / "conv.onnx").is_refused()
