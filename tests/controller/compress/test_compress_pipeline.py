"""A recipe of several steps: each told when it is done, scored, and not run again where it was done before."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from steelyard.compress.calibration import read_calibration
from steelyard.compress.contract import Evaluation
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.evaluation import EvaluationSet, HostEvaluator, metric_of, step_evaluation
from steelyard.compress.finished_step import FinishedStep, deflated_bytes
from steelyard.compress.recipe import Recipe
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.run import Scoring, compress
from steelyard.compress.step_key import StepInputs, step_key, why_other_bytes
from steelyard.compress.steps.bias_correction import BiasCorrection
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.tasks.packing import pack
from steelyard_protocol.v1 import control_pb2
from tests.controller.compress.inputs import packed_samples
from tests.support.models import conv_model

PIPELINE = load_recipe("equalize+static-int8+bias-correction")


def quiet(message: str, done: int, total: int) -> None:
    """Nobody listens."""


def labelled(model: Path, count: int = 60) -> EvaluationSet:
    """Samples whose truth is what the model itself says: it scores 1."""
    import onnxruntime

    samples = np.random.default_rng(3).standard_normal((count, 1, 12, 12)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    labels = np.array([session.run(None, {"image": one[None]})[0].argmax() for one in samples], dtype=np.int64)
    return EvaluationSet(
        split="evaluation",
        metric=metric_of("top1", ""),
        data=read_calibration(pack("image", samples)),
        truth={"labels": labels},
    )


def run_pipeline(model: Path, out: Path, told: list[FinishedStep], **options: object):
    kept: list[FinishedStep] = []

    def on_step(done: FinishedStep) -> None:
        copy = model.with_name(f"{done.message.output_digest}.onnx")
        copy.write_bytes(done.path.read_bytes())
        kept.append(dataclasses.replace(done, path=copy))
        told.append(kept[-1])

    return compress(
        model,
        PIPELINE,
        calibration=packed_samples(),
        seed=0,
        processor_features=(),
        out_dir=out,
        on_step=on_step,
        **options,
    )


def test_each_step_is_told_with_its_model_its_sizes_and_its_score(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", depth=2)
    told: list[FinishedStep] = []
    result = run_pipeline(model, tmp_path / "out", told, scoring=Scoring(reported=labelled(model)))
    assert [one.message.kind for one in told] == ["equalize", "static-int8", "bias-correction"]
    for one in told:
        content = one.path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == one.message.output_digest
        assert one.message.output_size_bytes == len(content)
        assert 0 < one.message.output_deflated_bytes == deflated_bytes(content)
        assert one.message.evaluation.sample_count == 60
        assert one.message.evaluation.low <= one.message.evaluation.value <= one.message.evaluation.high
    assert result.lineage.parent_evaluation.value == 1.0
    assert all(one.parent_evaluation == result.lineage.parent_evaluation for one in told)
    assert told[0].message.evaluation.value == 1.0  # equalization is exact
    assert result.digest == told[-1].message.output_digest
    assert list(result.lineage.steps) == [one.message for one in told]
    assert list((tmp_path / "out").iterdir()) == [result.path]


def test_steps_that_were_done_before_are_not_run_again_and_the_end_is_the_same(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", depth=2)
    first: list[FinishedStep] = []
    whole = run_pipeline(model, tmp_path / "out", first)
    again: list[FinishedStep] = []
    resumed = run_pipeline(model, tmp_path / "out2", again, finished=first[:2])
    assert [one.message.kind for one in again] == ["bias-correction"]
    assert resumed.digest == whole.digest
    nothing: list[FinishedStep] = []
    assert run_pipeline(model, tmp_path / "out3", nothing, finished=first).digest == whole.digest
    assert nothing == []


def test_steps_that_were_done_before_are_scored_by_the_task_at_hand_once(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", depth=2)
    first: list[FinishedStep] = []
    run_pipeline(model, tmp_path / "out", first)
    assert not any(one.message.HasField("evaluation") for one in first)
    scored = run_pipeline(
        model, tmp_path / "out2", [], finished=first[:2], scoring=Scoring(reported=labelled(model))
    ).lineage
    assert all(step.evaluation.sample_count == 60 for step in scored.steps)
    known = {hashlib.sha256(model.read_bytes()).hexdigest(): control_pb2.StepEvaluation(metric="top1", value=0.25)}
    known |= {scored.steps[0].output_digest: control_pb2.StepEvaluation(metric="top1", value=0.125)}
    told = run_pipeline(
        model, tmp_path / "out3", [], finished=first[:2], scoring=Scoring(reported=labelled(model), known=known)
    ).lineage
    assert told.parent_evaluation.value == 0.25
    assert [step.evaluation.value for step in told.steps[:2]] == [0.125, scored.steps[1].evaluation.value]


def test_a_step_that_chooses_by_what_it_is_scored_by_says_that_this_flatters(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", depth=2)
    samples = labelled(model)
    validation = dataclasses.replace(samples, split="validation")
    notes = {}
    for split, chosen_by in (("evaluation", samples), ("validation", validation)):
        made = compress(
            model,
            load_recipe("static-int8+fallback"),
            calibration=packed_samples(),
            seed=0,
            processor_features=(),
            out_dir=tmp_path / split,
            scoring=Scoring(reported=samples, chosen_by=chosen_by),
        )
        quantized, fallen_back = made.lineage.steps
        assert not any("flatters" in note for note in quantized.notes)
        notes[split] = [note for note in fallen_back.notes if "flatters" in note]
    assert len(notes["evaluation"]) == 1
    assert "validation split" in notes["evaluation"][0]
    assert notes["validation"] == []


def test_what_a_model_cannot_be_is_refused_before_the_first_step_runs(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx")
    half = compress(
        model, load_recipe("float16"), calibration=None, seed=0, processor_features=(), out_dir=tmp_path / "out"
    ).path
    for recipe, source, reason, match in (
        ("sparsify+sparse-encoding", model, "unsupported_format", "sparse-encoding works on tflite"),
        ("sparsify+low-rank", half, "already_compressed", "low-rank starts from float32"),
    ):
        told: list[FinishedStep] = []
        with pytest.raises(CompressionInputError, match=match) as caught:
            compress(
                source,
                load_recipe(recipe),
                calibration=None,
                seed=0,
                processor_features=(),
                out_dir=tmp_path / "refused",
                on_step=told.append,
            )
        assert caught.value.reason == reason
        assert told == []
        assert not list((tmp_path / "refused").iterdir())


def test_a_model_that_cannot_be_scored_gives_the_reason_and_not_the_end(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx")
    odd = EvaluationSet(
        split="evaluation",
        metric=metric_of("top1", ""),
        data=read_calibration(packed_samples(8, (1, 12, 12))),
        truth={"labels": np.zeros(3, np.int64)},
    )
    told: list[FinishedStep] = []
    result = run_pipeline(model, tmp_path / "out", told, scoring=Scoring(reported=odd))
    assert result.digest
    for one in told:
        assert not one.message.evaluation.HasField("value")
        assert "3" in one.message.evaluation.reason


@pytest.mark.parametrize("kind", ["cosine", "sqnr"])
def test_without_labels_a_model_is_held_against_its_parent(tmp_path: Path, kind: str) -> None:
    model = conv_model(tmp_path / "m.onnx", depth=2)
    chosen = EvaluationSet(
        split="calibration", metric=metric_of(kind, ""), data=read_calibration(packed_samples(40)), truth={}
    )
    evaluator = HostEvaluator(chosen, parent_path=model, model_format="onnx", progress=quiet)
    itself = evaluator.evaluate(model)
    variant = compress(
        model,
        load_recipe("static-int8"),
        calibration=packed_samples(),
        seed=0,
        processor_features=(),
        out_dir=tmp_path / "out",
    )
    worse = evaluator.evaluate(variant.path)
    assert itself.worse_by(worse) < 0 < worse.worse_by(itself)
    assert (worse.metric, worse.split, worse.sample_count) == (kind, "calibration", 40)
    message = step_evaluation(evaluator, variant.path)
    assert message.value == worse.value


def test_worse_knows_the_direction_of_the_metric() -> None:
    fields = {"metric": "m", "unit": "number", "sample_count": 1, "split": "evaluation"}
    high, low = (Evaluation(higher_is_better=True, value=value, **fields) for value in (0.9, 0.8))
    assert low.worse_by(high) == pytest.approx(0.1)
    large, small = (Evaluation(higher_is_better=False, value=value, **fields) for value in (0.9, 0.8))
    assert large.worse_by(small) == pytest.approx(0.1)


def test_a_key_holds_everything_that_could_change_the_bytes() -> None:
    digests = ["a" * 64, "b" * 64]
    base = StepInputs(seed=0, processor_features=("avx2",), calibration_digest="c" * 64, choice_digest="d")
    key = step_key(StaticInt8(), digests, base)
    assert key == step_key(StaticInt8(), digests, base)
    others = [
        step_key(StaticInt8(per_channel=False), digests, base),
        step_key(StaticInt8(), ["a" * 64, "e" * 64], base),
        step_key(StaticInt8(), digests, StepInputs(seed=1, processor_features=("avx2",), calibration_digest="c" * 64)),
        step_key(StaticInt8(), digests, StepInputs(seed=0, processor_features=(), calibration_digest="c" * 64)),
        step_key(StaticInt8(), digests, StepInputs(seed=0, processor_features=("avx2",), calibration_digest="f" * 64)),
        step_key(StaticInt8(), digests, base, plugin="mine 1.0"),
    ]
    assert len({key.key, *(one.key for one in others)}) == 7
    # The first model is no input of a step that reads the last alone, and one of a repair.
    assert step_key(StaticInt8(), ["e" * 64, "b" * 64], base).key == key.key
    repair = step_key(BiasCorrection(), digests, base)
    assert step_key(BiasCorrection(), ["e" * 64, "b" * 64], base).key != repair.key
    first, second = (step_key(StaticInt8(), digests, base, plugin=f"mine {version}") for version in ("1.0", "2.0"))
    assert first.loose_key == second.loose_key


def test_other_bytes_are_explained_by_other_tools_or_by_the_step() -> None:
    assert "then onnx 1, now onnx 2" in why_other_bytes("steelyard 0; onnx 1", "steelyard 0; onnx 2")
    assert "not deterministic" in why_other_bytes("onnx 1", "onnx 1")


def test_external_names_of_the_recipe_hold_for_prefixes(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx")
    recipe = Recipe(PIPELINE.step_list[:1], name=PIPELINE.prefix_name(1))
    made = compress(model, recipe, calibration=None, seed=0, processor_features=(), out_dir=tmp_path / "out")
    assert made.lineage.recipe_name == "equalize"
    assert onnx.load_model(made.path).graph.node
