"""Pruning follows what hangs together: heads, residual sums, groups; and what is left runs and can be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.train.distill.students import kept_places, repeated_blocks, shortened
from steelyard.train.errors import TrainingInputError
from steelyard.train.export.onnx_program import export_lifted
from steelyard.train.lift import lift_checked
from steelyard.train.lift.lifted import LiftedModel
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.prune.costs import multiply_accumulates, parameter_count
from steelyard.train.prune.importances import as_importance, importance_of
from steelyard.train.prune.pruner import Pruner, PruneRules
from steelyard.train.prune.statistics import Statistics
from steelyard.train.prune.width import narrowed
from tests.controller.train.lift.graphs import drawn, node, write
from tests.controller.train.small_networks import HEADS, residual, transformer

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    transformer(folder / "transformer.onnx")
    residual(folder / "residual.onnx")
    return folder


def pruner(lifted: LiftedModel, **rules: object) -> Pruner:
    statistics = Statistics(TrainableModel.of(lifted), objective=None, batches=None)
    return Pruner(lifted, importance_of("l2"), statistics, PruneRules(**rules))


def counts_of_heads(lifted: LiftedModel) -> list[int]:
    return [layer.head_count for layer in lifted.module.children() if hasattr(layer, "head_count")]


def test_the_multiply_accumulates_of_a_network_are_those_of_its_layers(written: Path) -> None:
    lifted = lift_checked(written / "residual.onnx")
    convolutions = 64 * (9 * 8 + 9 * 8 * 12 + 9 * 12 * 8 + 9 * 4 * 8 + 9 * 8 + 8 * 6)
    assert multiply_accumulates(lifted) == convolutions + 6 * 16 * 2


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_the_multiply_accumulates_of_recurrent_layers_count_once(tmp_path: Path, kind: str, gates: int) -> None:
    stored = {"w": drawn(1, gates * 5, 4), "r": drawn(1, gates * 5, 5), "b": drawn(1, gates * 10)}
    attributes = {"hidden_size": 5} | ({"linear_before_reset": 1} if kind == "GRU" else {})
    nodes = [
        node("Transpose", "x", "steps", perm=[1, 0, 2]),
        node(kind, "steps w r b", "- last", **attributes),
        node("Transpose", "last", "y", perm=[1, 0, 2]),
    ]
    lifted = lift_checked(write(tmp_path / "m.onnx", nodes, {"x": ["N", 7, 4]}, {"y": ["N", 1, 5]}, stored))
    assert multiply_accumulates(lifted) == 7 * gates * 5 * (4 + 5)


def test_attention_loses_whole_heads_and_the_rest_follows(written: Path, tmp_path: Path) -> None:
    lifted = lift_checked(written / "transformer.onnx")
    made = pruner(lifted, scope="layer").pruned(0.5, parameter_count).lifted
    assert counts_of_heads(made) == [HEADS // 2] * 3
    assert counts_of_heads(lifted) == [HEADS] * 3
    assert 0.2 < parameter_count(made) / parameter_count(lifted) < 0.5
    # The file is held against the module over several batches.
    assert export_lifted(made, tmp_path / "pruned.onnx").difference < 1e-4


def test_every_head_loses_the_same_dimensions(written: Path) -> None:
    lifted = lift_checked(written / "transformer.onnx")
    one = pruner(lifted, scope="layer", heads=False, keep=("node_MatMul_2", "node_MatMul_10"))
    assert one.left["node_MatMul_18"] == "by the setting keep"
    made = one.pruned(0.5, parameter_count).lifted
    assert counts_of_heads(made) == [HEADS] * 3
    assert parameter_count(made) < 0.7 * parameter_count(lifted)
    assert made.module(torch.zeros(2, 6, dtype=torch.int64)).shape == (2, 3)


def test_groups_stay_even_and_sums_stay_sums(written: Path, tmp_path: Path) -> None:
    lifted = lift_checked(written / "residual.onnx")
    made = pruner(lifted, scope="layer").pruned(0.5, parameter_count).lifted
    layers = {type(one).__name__ + str(getattr(one, "groups", "")): one for one in made.module.children()}
    assert layers["Conv2d2"].out_channels == 4
    assert layers["Conv2d4"].out_channels == 4
    assert layers["BatchNorm2d"].num_features == 4
    assert layers["Linear"].in_features == 3 * 16
    assert export_lifted(made, tmp_path / "pruned.onnx").difference < 1e-4


def test_a_width_is_followed_through_shapes_that_the_file_stores(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w0", "c", pads=[1, 1, 1, 1]),
        node("Reshape", "c tokens", "t"),
        node("Transpose", "t", "p", perm=[0, 2, 1]),
        node("Reshape", "p rows", "r"),
        node("MatMul", "r w1", "m"),
        node("Reshape", "m split", "s"),
        node("MatMul", "s w2", "y"),
    ]
    stored = {"w0": drawn(8, 3, 3, 3), "w1": drawn(8, 12), "w2": drawn(12, 2)}
    stored |= {"tokens": np.array([-1, 8, 16]), "rows": np.array([-1, 8]), "split": np.array([-1, 16, 12])}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["N", 3, 4, 4]}, {"y": ["N", 16, 2]}, stored)
    one = pruner(lift_checked(path), scope="layer")
    made = one.pruned(0.5, parameter_count)
    assert [after for _, after in made.widths.values()] == [6, 4]
    assert export_lifted(made.lifted, tmp_path / "pruned.onnx").difference < 1e-4


def test_layers_whose_width_a_stored_size_counts_on_stay_whole_and_others_do_not(tmp_path: Path) -> None:
    """As queries, keys and values out of one product do."""
    nodes = [
        node("MatMul", "x w0", "h"),
        node("Relu", "h", "a"),
        node("MatMul", "a w1", "f"),
        node("Reshape", "f parts", "p"),
        node("ReduceMax", "p", "m", axes=[1], keepdims=0),
        node("MatMul", "m w2", "y"),
    ]
    stored = {"w0": drawn(8, 16), "w1": drawn(16, 12), "w2": drawn(4, 2), "parts": np.array([-1, 3, 4])}
    path = write(tmp_path / "m.onnx", nodes, {"x": ["N", 8]}, {"y": ["N", 2]}, stored)
    one = pruner(lift_checked(path), scope="layer")
    assert one.left["f_MatMul"] == "a size that the model stores counts on its width"
    assert list(one.pruned(0.5, parameter_count).widths) == ["h_MatMul"]


def test_a_target_is_met_with_little_to_spare(written: Path) -> None:
    lifted = lift_checked(written / "residual.onnx")
    target = 0.6 * multiply_accumulates(lifted)
    made = pruner(lifted).to_target(multiply_accumulates, target)
    # Channels of grouped layers go in pairs.
    assert 0.7 * target < made.cost <= target
    assert made.cost == multiply_accumulates(made.lifted)


def test_neighbours_of_a_pruned_model_differ_in_one_group_by_one_multiple(written: Path) -> None:
    one = pruner(lift_checked(written / "residual.onnx"), scope="global", round_to=2)
    middle = one.pruned(0.5, multiply_accumulates)
    narrower, wider = (list(one.near(middle, multiply_accumulates, back=back)) for back in (False, True))
    assert all(made.cost < middle.cost and made.lost > middle.lost for made in narrower)
    assert all(made.cost > middle.cost and made.lost < middle.lost for made in wider)
    for made in (*narrower, *wider):
        moved = [abs(now - then) for now, then in zip(made.removed, middle.removed, strict=True) if now != then]
        assert len(moved) == 1
    assert one.without(narrower[0].removed, multiply_accumulates).widths == narrower[0].widths


def test_one_share_for_all_layers_has_no_neighbours(written: Path) -> None:
    one = pruner(lift_checked(written / "residual.onnx"), scope="layer")
    assert not list(one.near(one.pruned(0.5, multiply_accumulates), multiply_accumulates, back=False))


@pytest.mark.parametrize("scope", ["global", "isomorphic", "layer"])
def test_wide_steps_of_narrow_layers_come_near_to_the_target(written: Path, scope: str) -> None:
    lifted = lift_checked(written / "residual.onnx")
    target = 0.75 * multiply_accumulates(lifted)
    one = pruner(lifted, scope=scope, round_to=4)
    made = one.to_target(multiply_accumulates, target)
    assert made.cost <= target
    assert made.cost == multiply_accumulates(made.lifted)
    # Layer by layer, nothing more could have stayed.
    by_ratio = [one.pruned(step / 16, multiply_accumulates).cost for step in range(17)]
    assert made.cost >= max(cost for cost in by_ratio if cost <= target)


def test_an_importance_of_torch_pruning_works_unchanged(written: Path) -> None:
    import torch_pruning

    lifted = lift_checked(written / "residual.onnx")
    statistics = Statistics(TrainableModel.of(lifted), objective=None, batches=None)
    scorer = as_importance(torch_pruning.importance.BNScaleImportance(), needs_gradients=False)
    made = Pruner(lifted, scorer, statistics, PruneRules(scope="layer"))
    # One BatchNorm is left in the file: its group alone can be judged.
    assert list(made.pruned(0.5, parameter_count).widths.values()) == [(8, 4)]
    assert "the importance does not judge it" in made.left.values()


@pytest.mark.parametrize(
    "scores",
    [lambda group: torch.ones(3), lambda group: torch.full((len(group[0].idxs),), torch.nan)],
    ids=["too few", "no numbers"],
)
def test_scores_that_are_none_of_the_channels_are_refused(written: Path, scores) -> None:
    lifted = lift_checked(written / "residual.onnx")
    statistics = Statistics(TrainableModel.of(lifted), objective=None, batches=None)
    with pytest.raises(TrainingInputError, match="give one number a channel") as caught:
        Pruner(lifted, lambda group, model, statistics: scores(group), statistics, PruneRules())
    assert caught.value.reason == "importance_misfit"


@pytest.mark.parametrize("form", [lambda scores: scores.numpy(), lambda scores: scores.tolist()], ids=["array", "list"])
def test_scores_may_be_an_array_or_a_list(written: Path, form) -> None:
    lifted = lift_checked(written / "residual.onnx")
    statistics = Statistics(TrainableModel.of(lifted), objective=None, batches=None)

    def scored(group: Any, as_form: Any) -> Any:
        return as_form(torch.arange(len(group[0].idxs), dtype=torch.float64))

    made, plain = (
        Pruner(lifted, lambda group, model, told, one=one: scored(group, one), statistics, PruneRules()).pruned(
            0.5, parameter_count
        )
        for one in (form, lambda scores: scores)
    )
    assert made.widths == plain.widths


@pytest.mark.parametrize("scores", ["high", {"conv": 1.0}, [1.0, "b"]], ids=["text", "table", "mixed"])
def test_scores_that_are_no_numbers_at_all_are_refused_by_what_they_are(written: Path, scores) -> None:
    lifted = lift_checked(written / "residual.onnx")
    statistics = Statistics(TrainableModel.of(lifted), objective=None, batches=None)
    with pytest.raises(TrainingInputError, match=f"gave {type(scores).__name__} for the") as caught:
        Pruner(lifted, lambda group, model, told: scores, statistics, PruneRules())
    assert caught.value.reason == "importance_misfit"


def test_a_narrower_copy_leaves_the_model_alone(written: Path) -> None:
    lifted = lift_checked(written / "residual.onnx")
    before = parameter_count(lifted)
    made, told = narrowed(lifted, 0.5)
    assert parameter_count(lifted) == before > 2 * parameter_count(made)
    assert told.startswith("a width of 0.5 left ")


def test_layers_of_a_transformer_are_blocks_that_can_go(written: Path, tmp_path: Path) -> None:
    lifted = lift_checked(written / "transformer.onnx")
    assert [len(run) for run in repeated_blocks(lifted)] == [3]
    made, told = shortened(lifted, 0.34)
    assert told == "1 of 3 blocks were kept"
    assert len(counts_of_heads(made)) == 1
    assert export_lifted(made, tmp_path / "short.onnx").difference < 1e-4


def test_sums_of_embeddings_are_no_blocks(tmp_path: Path) -> None:
    lifted = lift_checked(transformer(tmp_path / "places.onnx", sum_count=2))
    assert [len(run) for run in repeated_blocks(lifted)] == [3]
    made, told = shortened(lifted, 0.34)
    assert told == "1 of 3 blocks were kept"
    assert sum(node.target is torch.add for node in made.module.graph.nodes) == 4, "two sums, two in the block"


def test_blocks_that_stay_are_spread_evenly() -> None:
    assert kept_places(6, 0.5) == (0, 2, 4)
    assert kept_places(12, 0.25) == (0, 4, 8)
    assert kept_places(3, 0.1) == (0,)
