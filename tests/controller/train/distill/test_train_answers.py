"""A teacher is asked once for what every epoch shows unchanged, and in each epoch for what changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest

from steelyard.train.distill import answers
from steelyard.train.distill.teaching import Teacher
from tests.controller.train.loop.small_trainings import Interrupted, interrupt_in
from tests.controller.train.steps.recipes import model, run

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

UNCHANGED = "epochs=4,batch_size=25,learning_rate=0.02,augment=,label_weight=0"
# A tenth of the 240 samples is held out.
WHOLE, REST = divmod(216, 25)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many samples each question to a teacher has."""
    found: list[int] = []
    own = Teacher.run

    def counted(self: Teacher, inputs: Any, student: Any) -> Any:
        found.append(len(next(iter(inputs.values()))))
        return own(self, inputs, student)

    monkeypatch.setattr(Teacher, "run", counted)
    return found


def in_training(asked: list[int]) -> list[int]:
    """Leave out what the models are looked at with before."""
    return [count for count in asked if count not in {32, 1}]


def test_what_does_not_change_is_asked_once(tmp_path: Path, asked: list[int]) -> None:
    told: list[tuple[str, int, int]] = []
    path, teacher = model(tmp_path), {"taught": model(tmp_path, "teacher.onnx", channels=12)}
    run(
        path,
        f"fine-tune,teachers=taught,{UNCHANGED}",
        artifacts=teacher,
        progress=lambda *progress: told.append(progress),
    )
    assert in_training(asked) == [25] * WHOLE + [REST]
    assert ("step 1 of 1, fine-tune: asking the teacher taught", 216, 216) in told


@pytest.mark.parametrize(
    "settings",
    [
        UNCHANGED.replace("augment=", "augment=flip"),
        f"{UNCHANGED},hints=auto",
        UNCHANGED.replace("epochs=4", "epochs=1"),
    ],
    ids=["changed", "hints", "one-epoch"],
)
def test_what_changes_and_what_is_looked_at_inside_is_asked_anew(
    tmp_path: Path, asked: list[int], settings: str
) -> None:
    run(model(tmp_path), f"fine-tune,teachers=parent,{settings}")
    epochs = 1 if "epochs=1" in settings else 4
    assert [count for count in asked if count == 25] == [25] * WHOLE * epochs


def test_answers_that_are_too_large_are_not_kept(
    tmp_path: Path, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_MOST_BYTES", 216 * 2 * 4 - 1)
    run(model(tmp_path), f"fine-tune,teachers=parent,{UNCHANGED}")
    assert len(in_training(asked)) == 4 * WHOLE


@pytest.mark.parametrize(
    ("operator", "settings", "shape"),
    [
        ("ReduceMean", {"keepdims": 0}, []),
        ("ReduceMean", {"keepdims": 1}, [1, 1]),
        ("Transpose", {"perm": [1, 0]}, [2, "batch"]),
        ("Softmax", {"axis": 0}, ["batch", 2]),
    ],
    ids=["one-number", "one-row", "samples-second", "among-others"],
)
def test_answers_that_are_not_of_each_sample_are_not_kept(
    tmp_path: Path, asked: list[int], operator: str, settings: Mapping[str, Any], shape: list[Any]
) -> None:
    path = model(tmp_path)
    made = onnx.load(path)
    made.graph.node.append(onnx.helper.make_node(operator, ["logits"], ["more"], **settings))
    made.graph.output.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, shape))
    onnx.save(made, path)
    run(path, f"fine-tune,teachers=parent,{UNCHANGED}")
    assert [count for count in asked if count == 25] == [25] * WHOLE * 4


def test_a_training_that_goes_on_hears_the_same(tmp_path: Path) -> None:
    path, kept, recipe = model(tmp_path), tmp_path / "kept", f"distill,width=0.5,{UNCHANGED}"
    with pytest.raises(Interrupted):
        run(path, recipe, checkpoints=kept, progress=interrupt_in(3, of=4, update=2))
    assert run(path, recipe, checkpoints=kept).digest == run(path, recipe).digest


def test_kept_answers_are_those_that_the_teacher_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, teacher = model(tmp_path), {"taught": model(tmp_path, "teacher.onnx", channels=12)}
    recipe = f"fine-tune,teachers=taught,{UNCHANGED}"
    losses = []
    for most in (2**28, 0):
        monkeypatch.setattr(answers, "_MOST_BYTES", most)
        notes = run(path, recipe, artifacts=teacher).notes
        losses.append(next(note for note in notes if note.startswith("loss at the end")))
    assert losses[0] == losses[1]
