"""What a teacher's outputs are to the student: scores of classes of the output that the metric reads, or numbers."""

from __future__ import annotations

import pytest

from steelyard.train.distill.settings import TaughtSettings
from steelyard.train.distill.teaching import Teacher, Teaching
from steelyard.train.distill.terms import soft_labels, soft_values
from steelyard.train.loop.objective import Batch
from steelyard.train.loop.output_form import LOGITS
from steelyard.train.loop.trainable import TrainableModel

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


class Two(torch.nn.Module):
    """An offset beside scores of three classes for each of four places [N, 3, 4]."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.offset, self.scores = torch.nn.Linear(5, 1), torch.nn.Linear(5, 12)

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.offset(rows), self.scores(rows).reshape(-1, 3, 4)


def model(seed: int) -> TrainableModel:
    return TrainableModel(module=Two(seed), input_names=("rows",), output_names=("offset", "scores"))


@pytest.mark.parametrize(
    ("output", "axis"), [("scores", 1), ("", None), ("offset", -1)], ids=["classes", "numbers", "one-number"]
)
def test_without_labels_the_scores_that_the_metric_reads_are_softened_and_numbers_are_compared(
    output: str, axis: int | None
) -> None:
    torch.manual_seed(0)
    batch = Batch(inputs={"rows": torch.randn(6, 5)}, truth={})
    student, teacher = model(1), model(2)
    settings = TaughtSettings(teachers=("parent",), temperature=3.0)
    teaching = Teaching(
        settings,
        student=student,
        teachers=[Teacher(name="parent", model=teacher)],
        label=None,
        sample=batch,
        output=output,
        class_axis=axis,
    )
    own, theirs = (one.run(batch.inputs) for one in (student, teacher))
    if output == "scores":
        wanted = soft_labels(own[output], [theirs[output]], forms=(LOGITS, LOGITS), axis=1, temperature=3.0)
    else:
        wanted = sum(soft_values(own[name], [theirs[name]]) for name in ("offset", "scores")) / 2
    found = teaching.terms(student, batch)
    assert list(found) == ["teacher"]
    torch.testing.assert_close(found["teacher"], wanted)
