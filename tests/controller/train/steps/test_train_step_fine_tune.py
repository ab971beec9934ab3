"""Fine-tuning as a step of a recipe: an ONNX model in, a better one out, and clear words where that cannot be."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.learning import Learning
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.run import compress
from steelyard.train.errors import TrainingInputError
from tests.controller.train.loop.small_trainings import Interrupted, interrupt_in
from tests.controller.train.steps.recipes import SHORT, model, outputs, run, score


def test_a_model_is_better_after_it_was_trained(tmp_path: Path) -> None:
    result = run(model(tmp_path), f"fine-tune,{SHORT}")
    assert result.lineage.parent_evaluation.value < 0.7
    assert score(result) > 0.9
    assert result.lineage.training_sample_count == 240
    (step,) = result.lineage.steps
    assert any("held out" in note for note in step.notes)
    assert any(text.startswith("torch 2") for text in step.tool_versions)


def test_the_same_recipe_gives_the_same_bytes_and_the_batch_stays_open(tmp_path: Path) -> None:
    path = model(tmp_path)
    first, second = run(path, f"fine-tune,{SHORT}"), run(path, f"fine-tune,{SHORT}")
    assert first.digest == second.digest
    assert run(path, f"fine-tune,{SHORT}", seed=4).digest != first.digest
    made = onnx.load_model(first.path)
    assert [one.name for one in made.graph.input] == ["image"]
    assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert outputs(first.path).shape == (200, 2)


def test_an_interrupted_recipe_goes_on_in_the_epoch_where_it_was(tmp_path: Path) -> None:
    path, kept = model(tmp_path), tmp_path / "kept"
    with pytest.raises(Interrupted):
        run(path, f"fine-tune,{SHORT}", checkpoints=kept, progress=interrupt_in(2, of=4, update=2))
    (folder,) = kept.iterdir()
    assert (folder / "last.pt").is_file()
    resumed = run(path, f"fine-tune,{SHORT}", checkpoints=kept)
    assert any(note == "went on behind epoch 1" for note in resumed.notes)
    assert resumed.digest == run(path, f"fine-tune,{SHORT}").digest


def test_another_setting_does_not_go_on_from_what_was_kept(tmp_path: Path) -> None:
    path, kept = model(tmp_path), tmp_path / "kept"
    run(path, f"fine-tune,{SHORT}", checkpoints=kept)
    result = run(path, f"fine-tune,{SHORT},optimizer=sgd", checkpoints=kept)
    assert len(list(kept.iterdir())) == 2
    assert not any("went on" in note for note in result.notes)


def test_a_recipe_that_learns_is_refused_without_samples(tmp_path: Path) -> None:
    with pytest.raises(CompressionInputError, match="give a task with a training split") as caught:
        compress(
            model(tmp_path),
            load_recipe("fine-tune"),
            calibration=None,
            seed=0,
            processor_features=(),
            out_dir=tmp_path / "out",
            learning=Learning(),
        )
    assert caught.value.reason == "no_training_data"


def test_samples_without_labels_need_a_teacher(tmp_path: Path) -> None:
    with pytest.raises(TrainingInputError, match="have no labels and nobody teaches") as caught:
        run(model(tmp_path), f"fine-tune,{SHORT}", labelled=False)
    assert caught.value.reason == "no_labels"


def test_a_fixed_batch_is_trained_all_the_same(tmp_path: Path) -> None:
    path = model(tmp_path)
    fixed = onnx.load_model(path)
    for value in (*fixed.graph.input, *fixed.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save_model(fixed, path)
    assert score(run(path, f"fine-tune,{SHORT}")) > 0.9


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("epochs=0", "epochs is 0; write a whole number of 1 or more"),
        ("optimizer=adam", "'adam'; did you mean"),
        ("augment=crop4|blur", "augment has 'blur'"),
        ("augment=auto|flip", "auto stands alone"),
        ("label_weight=2", "write a number from 0 to 1"),
        ("hints=auto", "hints needs a teacher"),
        ("attention=auto|conv1,teachers=parent", "auto stands alone"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words.replace("?", r"\?")):
        load_recipe(f"fine-tune,{settings}")


def test_a_step_that_trains_fits_between_others(tmp_path: Path) -> None:
    result = run(model(tmp_path), f"fine-tune,{SHORT}+float16")
    assert [step.kind for step in result.lineage.steps] == ["fine-tune", "float16"]
    assert abs(score(result, 0) - score(result, 1)) < 0.05
