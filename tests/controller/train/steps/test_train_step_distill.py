"""Distillation as a step: students given, or made from the teacher; with labels, without, from several teachers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from steelyard.compress.errors import RecipeError
from steelyard.compress.recipe_text import load_recipe
from steelyard.train.errors import LiftError, TrainingInputError
from tests.controller.train.loop.small_trainings import stripes
from tests.controller.train.steps.recipes import SHORT, model, outputs, run, score


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network with four alike convolutions."""
    folder = tmp_path_factory.mktemp("teacher")
    path = model(folder, depth=4, seed=1)
    return run(path, "fine-tune,epochs=6,batch_size=24,learning_rate=0.01").path


def test_a_student_that_is_given_learns_without_labels(tmp_path: Path, teacher: Path) -> None:
    student = model(tmp_path, "student.onnx", channels=4, depth=1)
    parent = tmp_path / "parent.onnx"
    parent.write_bytes(teacher.read_bytes())
    result = run(
        parent,
        "distill,student=small,epochs=6,batch_size=24,learning_rate=0.02",
        labelled=False,
        artifacts={"small": student},
    )
    assert result.size_bytes < parent.stat().st_size / 3
    assert score(result) > 0.85
    assert "the student is small" in result.notes
    (read,) = result.lineage.steps[0].read_models
    assert (read.name, read.digest) == ("small", hashlib.sha256(student.read_bytes()).hexdigest())


def test_a_student_keeps_every_second_block_of_its_teacher(tmp_path: Path, teacher: Path) -> None:
    parent = tmp_path / "parent.onnx"
    parent.write_bytes(teacher.read_bytes())
    result = run(parent, f"distill,layers=0.34,{SHORT}")
    made = onnx.load_model(result.path)
    assert [node.op_type for node in made.graph.node].count("Conv") == 2
    assert "1 of 3 blocks were kept" in result.notes
    assert score(result) > 0.85


def test_hints_and_attention_are_learnt_through_projectors(tmp_path: Path, teacher: Path) -> None:
    student = model(tmp_path, "student.onnx", channels=4, depth=2)
    parent = tmp_path / "parent.onnx"
    parent.write_bytes(teacher.read_bytes())
    result = run(parent, f"distill,student=small,hints=auto,attention=auto,{SHORT}", artifacts={"small": student})
    (told,) = [note for note in result.notes if note.startswith("loss at the end")]
    for term in ("labels", "teacher", "hints", "attention"):
        assert f"{term} " in told
    # What hints were projected by is not exported.
    assert sorted(
        tensor.dims[0] for tensor in onnx.load_model(result.path).graph.initializer if len(tensor.dims) == 4
    ) == [4, 4]


def test_projectors_begin_with_the_same_weights_whatever_was_drawn_before(teacher: Path) -> None:
    import torch

    from steelyard.train.distill.settings import TaughtSettings
    from steelyard.train.distill.teaching import Teacher, Teaching
    from steelyard.train.lift import lift
    from steelyard.train.loop.data import TrainingData
    from steelyard.train.loop.trainable import TrainableModel
    from steelyard.train.steps.training import looked_at

    made = []
    for drawn, seed in ((1, 5), (2, 5), (1, 6)):
        torch.manual_seed(drawn)
        student = TrainableModel.of(lift(model(teacher.parent, "narrow.onnx", channels=4, depth=1)))
        teaching = Teaching(
            TaughtSettings(teachers=("parent",), hints=("auto",)),
            student=student,
            teachers=[Teacher(name="parent", model=TrainableModel.of(lift(teacher)))],
            label=None,
            sample=looked_at(TrainingData.of(stripes(4)), 4),
            seed=seed,
        )
        made.append(torch.cat([one.flatten() for one in teaching.extra.parameters()]))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_layers_of_sequences_by_channel_are_maps_of_one_axis() -> None:
    import torch

    from steelyard.train.distill.features import recorded
    from steelyard.train.distill.projection import make_projector, refuse_other_kind

    narrow, wide = (torch.nn.Sequential(torch.nn.Conv1d(2, count, 3, padding=1)) for count in (4, 6))
    with recorded(narrow, ["0"]) as own, recorded(wide, ["0"]) as wanted:
        narrow(torch.zeros(3, 2, 5)), wide(torch.zeros(3, 2, 5))
    refuse_other_kind(own["0"], wanted["0"], pair=("0", "0"))
    assert make_projector(own["0"], wanted["0"])(own["0"]).shape == wanted["0"].shape == (3, 6, 5, 1)
    for other in (torch.zeros(3, 5, 6), None):
        with pytest.raises(TrainingInputError, match="pair layers that give outputs of one kind"):
            refuse_other_kind(own["0"], other, pair=("0", "x"))
    with pytest.raises(TrainingInputError, match="one kind"):
        refuse_other_kind(torch.zeros(3, 5, 6), torch.zeros(3, 7, 6), pair=("a", "b"))


def test_maps_of_attention_of_two_sizes_are_compared_at_the_smaller() -> None:
    import torch

    from steelyard.train.distill.terms import attention_distance

    small = torch.rand(2, 3, 4, 4)
    # Where each place stands four times, and signs differ, the map is the same.
    large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) * torch.tensor([1.0, -1.0]).repeat(4)
    assert float(attention_distance(small, large)) < 1e-12
    assert float(attention_distance(small, large.flip(2))) > 1e-3


def test_several_teachers_teach_inside_of_fine_tuning(tmp_path: Path, teacher: Path) -> None:
    path = model(tmp_path)
    taught = run(path, f"fine-tune,teachers=first|input,label_weight=0,{SHORT}", artifacts={"first": teacher})
    alone = run(path, f"fine-tune,teachers=first,label_weight=0,{SHORT}", artifacts={"first": teacher})
    assert taught.digest != alone.digest
    assert score(alone) > 0.85
    # The mean of a good teacher and of the untrained model is nearer to the untrained one.
    start = outputs(path)
    assert np.abs(outputs(taught.path) - start).mean() < np.abs(outputs(alone.path) - start).mean()


def test_a_teacher_with_other_outputs_is_refused(tmp_path: Path) -> None:
    other = model(tmp_path, "other.onnx", classes=5)
    with pytest.raises(TrainingInputError, match=r"output 'logits' is \[N, 2\] and the teacher 'five' gives \[N, 5\]"):
        run(model(tmp_path), f"fine-tune,teachers=five,{SHORT}", artifacts={"five": other})


def test_a_teacher_for_other_inputs_is_refused(tmp_path: Path) -> None:
    from tests.support.models import linear_model

    other = linear_model(tmp_path / "rows.onnx", classes=2)
    with pytest.raises(TrainingInputError, match="the teacher 'rows' does not take the student's inputs") as caught:
        run(model(tmp_path), f"fine-tune,teachers=rows,{SHORT}", artifacts={"rows": other})
    assert caught.value.reason == "teacher_misfit"


def test_a_model_that_cannot_be_lifted_is_called_by_its_name(tmp_path: Path) -> None:
    path = model(tmp_path)
    quantized = run(path, "qat,epochs=1,augment=flip").path
    for setting in ("teachers=small", "student=small"):
        with pytest.raises(LiftError, match=r"^small is quantized already"):
            run(path, f"distill,{setting},{SHORT}", artifacts={"small": quantized})


def test_a_layer_that_gives_a_vector_has_no_map_of_attention(tmp_path: Path) -> None:
    with pytest.raises(TrainingInputError, match=r"'Gemm_logits', which gives \[32, 2\], no map") as caught:
        run(model(tmp_path), f"distill,attention=Gemm_logits,{SHORT}")
    assert caught.value.reason == "no_places"


def test_a_student_with_other_outputs_is_refused(tmp_path: Path) -> None:
    other = model(tmp_path, "other.onnx", classes=5)
    with pytest.raises(TrainingInputError, match=r"outputs logits float32 \[N, 5\]") as caught:
        run(model(tmp_path), f"distill,student=five,{SHORT}", artifacts={"five": other})
    assert caught.value.reason == "student_misfit"


@pytest.mark.parametrize(("setting", "what"), [("student=big", "be the student"), ("teachers=big", "teach")])
def test_a_model_that_nobody_has_is_named(tmp_path: Path, setting: str, what: str) -> None:
    with pytest.raises(TrainingInputError, match=f"there is no model 'big' to {what}") as caught:
        run(model(tmp_path), f"distill,{setting},{SHORT}")
    assert caught.value.reason == "unknown_model"


def test_a_layer_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingInputError, match="has no layer 'conv99'; its layers are"):
        run(model(tmp_path), f"distill,hints=conv99,{SHORT}")


def test_a_model_without_alike_blocks_cannot_be_shortened(tmp_path: Path) -> None:
    with pytest.raises(TrainingInputError, match="the model has none that follow each other") as caught:
        run(model(tmp_path), f"distill,layers=0.5,{SHORT}")
    assert caught.value.reason == "no_blocks"


def test_a_distillation_without_a_teacher_is_no_recipe() -> None:
    with pytest.raises(RecipeError, match="use fine-tune"):
        load_recipe("distill,teachers=")
