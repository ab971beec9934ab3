"""Sparsity that grows while a model is trained, and zeros that later steps leave alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from steelyard.compress.errors import RecipeError
from steelyard.compress.recipe_text import load_recipe
from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.sparse.masks import HeldZeros
from tests.controller.train.loop.small_trainings import Interrupted, interrupt_in
from tests.controller.train.steps.recipes import SHORT, model, run, score

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


def kernels(path: Path) -> list[np.ndarray]:
    """Return the weights of convolutions and matrix products of a file that read more than one channel."""
    arrays = [numpy_helper.to_array(one) for one in onnx.load_model(path).graph.initializer]
    return [one for one in arrays if one.ndim == 2 or (one.ndim == 4 and one.shape[1] > 1)]


def share_of_zeros(path: Path) -> float:
    found = kernels(path)
    return sum(int((one == 0).sum()) for one in found) / sum(one.size for one in found)


def test_a_model_learns_while_most_of_its_weights_become_zero(tmp_path: Path) -> None:
    result = run(model(tmp_path), f"sparse-train,sparsity=0.7,every=2,{SHORT}")
    assert share_of_zeros(result.path) == pytest.approx(0.7, abs=0.01)
    assert score(result) > 0.9
    assert any("weights in 2 tensors are zero (" in note for note in result.notes)


@pytest.mark.parametrize("length", ["epochs=1", "epochs=4,grown=0.1"])
def test_so_few_updates_that_the_share_cannot_grow_make_all_zeros_at_once(tmp_path: Path, length: str) -> None:
    result = run(model(tmp_path), f"sparse-train,sparsity=0.7,{length},batch_size=1000,augment=flip")
    assert share_of_zeros(result.path) == pytest.approx(0.7, abs=0.01)


def test_two_of_four_along_the_inputs_stay(tmp_path: Path) -> None:
    result = run(model(tmp_path), f"sparse-train,pattern=2:4,every=2,{SHORT}")
    found = kernels(result.path)
    # A convolution [outputs, inputs, height, width] and the last layer [outputs, inputs].
    assert sorted(kernel.ndim for kernel in found) == [2, 4]
    for kernel in found:
        groups = np.moveaxis(kernel, 1, -1).reshape(-1, 4)
        assert (np.count_nonzero(groups, axis=1) == 2).all()


@pytest.mark.parametrize(("pattern", "share"), [("sparsity=0.7", 0.7), ("pattern=2:4", 0.5)])
def test_a_training_that_runs_out_of_time_has_the_zeros_that_were_asked_for(
    tmp_path: Path, pattern: str, share: float
) -> None:
    result = run(model(tmp_path), f"sparse-train,{pattern},epochs=50,max_minutes=0.00001,augment=flip")
    assert share_of_zeros(result.path) == pytest.approx(share, abs=0.01)
    (stopped,) = [note for note in result.notes if "max_minutes" in note]
    assert stopped.endswith(
        "the zeros that were missing then were made at once, without training behind them: give it more time"
    )


def test_zeros_come_in_blocks(tmp_path: Path) -> None:
    result = run(model(tmp_path), f"sparse-train,sparsity=0.5,pattern=block,block=4|1,scope=layer,{SHORT}")
    (kernel,) = [one for one in kernels(result.path) if one.ndim == 4]
    blocks = (kernel == 0).reshape(2, 4, *kernel.shape[1:])
    assert (blocks.all(axis=1) | ~blocks.any(axis=1)).all()
    assert blocks.mean() == pytest.approx(0.5, abs=0.01)


def test_zeros_stay_zeros_in_what_trains_behind(tmp_path: Path) -> None:
    result = run(model(tmp_path), f"sparsify,sparsity=0.6+fine-tune,{SHORT}")
    assert share_of_zeros(result.path) == pytest.approx(0.6, abs=0.01)
    assert score(result) > score(result, 0)
    assert any("sparse tensors were held" in note for note in result.notes)


def test_the_few_zeros_that_one_ranking_gives_a_tensor_are_held_too() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(20, 20), torch.nn.Linear(20, 20), torch.nn.Linear(20, 20))
    with torch.no_grad():
        module[0].weight[:10] = 0
        module[1].weight[0, 0] = 0
    held = HeldZeros(module)
    assert held.names == ("0.weight", "1.weight")
    with torch.no_grad():
        for one in module.parameters():
            one.add_(1.0)
    held.after_update(TrainableModel(module=module, input_names=("x",), output_names=("y",)), 0, 1)
    assert [int((one.weight == 0).sum()) for one in module] == [200, 1, 0]
    del module[0]
    assert HeldZeros(module).names == (), "one zero of a dense model is there by chance"
    with torch.no_grad():
        module[1].weight[:] = 0
    assert HeldZeros(module).names == (), "a head that begins with zeros alone is to learn"


def test_an_interrupted_training_ends_with_the_same_zeros(tmp_path: Path) -> None:
    path, kept, recipe = model(tmp_path), tmp_path / "kept", f"sparse-train,sparsity=0.7,every=4,{SHORT}"
    with pytest.raises(Interrupted):
        run(path, recipe, checkpoints=kept, progress=interrupt_in(3, of=4, update=2))
    assert run(path, recipe, checkpoints=kept).digest == run(path, recipe).digest


def test_a_model_whose_layers_are_all_kept_dense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingInputError, match="that keep and the pattern leave"):
        run(model(tmp_path), f"sparse-train,keep=*,{SHORT}")


def test_contradictions_are_those_of_sparsify() -> None:
    with pytest.raises(RecipeError, match=r"^sparse-train: .*leave sparsity out"):
        load_recipe("sparse-train,pattern=2:4,sparsity=0.7")
