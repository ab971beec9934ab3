"""Structured pruning as a step: targets that are met, widths that are rounded, models that still work."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import pytest

from steelyard.compress.errors import RecipeError
from steelyard.compress.recipe_text import load_recipe
from steelyard.plugins.files import plugin_files
from steelyard.train.errors import TrainingInputError
from tests.controller.train.loop.small_trainings import Interrupted
from tests.controller.train.steps.recipes import SHORT, model, outputs, run, score
from tests.support.outside_importance import PLUGIN


def widths(path: Path) -> list[int]:
    """Return the outputs of each convolution of a file."""
    tensors = {one.name: one for one in onnx.load_model(path).graph.initializer}
    nodes = [node for node in onnx.load_model(path).graph.node if node.op_type == "Conv"]
    return [tensors[node.input[1]].dims[0] for node in nodes]


def left(notes: tuple[str, ...], what: str) -> float:
    """Return the share in percent of something that is left, as the notes tell it."""
    (note,) = [one for one in notes if one.startswith("left: ")]
    return float(re.search(rf"{what} [0-9,]+ of [0-9,]+ \(([0-9.]+)%\)", note)[1])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of three convolutions of 16 channels that knows the two classes."""
    path = model(tmp_path_factory.mktemp("trained"), channels=16, depth=3, seed=1)
    return run(path, "fine-tune,epochs=6,batch_size=24,learning_rate=0.01").path


@pytest.mark.parametrize("importance", ["l1", "taylor", "hessian", "fpgm", "lamp", "activation", "random"])
def test_half_of_the_multiply_accumulates_go_by_every_importance(trained: Path, importance: str) -> None:
    result = run(trained, f"prune,importance={importance},round_to=1,epochs=0,batch_size=24,sample_batches=1")
    assert 40 < left(result.notes, "macs") <= 50
    assert sum(widths(result.path)) < 48
    assert outputs(result.path).shape == (200, 2)


def test_a_pruned_model_is_as_good_after_it_was_trained(trained: Path) -> None:
    result = run(trained, f"prune,amount=0.3,round_to=1,{SHORT}")
    assert left(result.notes, "macs") <= 30
    assert score(result) > 0.9


def test_rounds_reach_the_target_in_parts_and_go_on_where_they_were(tmp_path: Path, trained: Path) -> None:
    def interrupt(message: str, done: int, total: int) -> None:
        if "round 3 of 3" in message:
            raise Interrupted

    recipe = f"prune,amount=0.25,target=parameters,rounds=3,round_to=1,importance=taylor,sample_batches=2,{SHORT}"
    kept = tmp_path / "kept"
    with pytest.raises(Interrupted):
        run(trained, recipe, checkpoints=kept, progress=interrupt)
    told: list[str] = []
    resumed = run(trained, recipe, checkpoints=kept, progress=lambda message, done, total: told.append(message))
    assert left(resumed.notes, "parameters") <= 25
    # The epochs of the first two rounds were not run again.
    assert not any("epoch 1 of 1" in message for message in told)
    assert resumed.digest == run(trained, recipe).digest


def test_widths_are_rounded_and_layers_that_are_kept_stay(trained: Path) -> None:
    name = onnx.load_model(trained).graph.node[0].name
    result = run(trained, f"prune,amount=0.4,round_to=8,scope=layer,epochs=0,keep={name}")
    assert widths(result.path)[0] == 16
    assert all(width % 8 == 0 for width in widths(result.path))
    assert any(note.startswith("whole: ") and "by the setting keep" in note for note in result.notes)


def test_without_epochs_no_samples_are_needed(trained: Path) -> None:
    recipe = load_recipe("prune,epochs=0,round_to=1")
    assert not recipe.needs_training
    assert load_recipe("prune,epochs=0,importance=taylor").needs_training


def test_a_target_that_leaves_a_layer_empty_is_refused(trained: Path) -> None:
    with pytest.raises(TrainingInputError, match="would leave a layer without channels") as caught:
        run(trained, "prune,amount=0.001,epochs=0,round_to=1")
    assert caught.value.reason == "target_leaves_nothing"


def test_an_importance_that_judges_nothing_is_refused(trained: Path) -> None:
    with pytest.raises(TrainingInputError, match="the importance does not judge it") as caught:
        run(trained, "prune,importance=bn-scale,epochs=0")
    assert caught.value.reason == "nothing_to_prune"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("amount=1", "write a number from 0.001 to 0.999"),
        ("scope=everywhere", "'everywhere'"),
        ("importance=tailor", "there is no importance 'tailor'; did you mean 'taylor'"),
        ("latency=3601s", "a time is above 0, 3600s at most"),
        ("rounds=3,epochs=0", "rounds are for training between them"),
        ("latency_trades=9", "latency_trades is 9, and single layers are traded"),
        ("latency=0.5x,scope=layer,latency_trades=9", "another scope than one share for each layer"),
        ("latency=0.5x,latency_trades=-1", "a whole number of 0 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_recipe(f"prune,{settings}")


def test_an_importance_from_outside_prunes_trains_and_is_scored(tmp_path: Path, trained: Path) -> None:
    path = tmp_path / "cautious.py"
    path.write_text(PLUGIN, encoding="utf-8")
    with plugin_files([str(path)]):
        recipe = load_recipe(f"prune,importance=cautious,round_to=1,sample_batches=2,{SHORT}")
        assert recipe.needs_training
        assert "cautious" in recipe.step_list[0].plugin_origins[0]
        result = run(trained, recipe.name)
    assert left(result.notes, "macs") <= 50
    assert score(result) > 0.9
