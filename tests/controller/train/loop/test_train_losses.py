"""Losses by the metric, whatever form a model's outputs have."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steelyard.compress.calibration import read_calibration
from steelyard.compress.evaluation import EvaluationSet
from steelyard.tasks.metrics.registry import metric
from steelyard.tasks.packing import pack_all
from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.data import TrainingData
from steelyard.train.loop.losses import label_loss
from steelyard.train.loop.objective import Batch, Mix
from steelyard.train.loop.output_form import LOG_PROBABILITIES, LOGITS, PROBABILITIES, ends_linearly, form_of_output
from steelyard.train.loop.truth_fit import refuse_misfit

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

LABELS = torch.tensor([0, 2, 1])
LOGITS_OF = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0], [-2.0, 4.0, 0.0]])


def batch(mix: Mix | None = None, **truth: torch.Tensor) -> Batch:
    return Batch(inputs={"x": torch.zeros(3, 1)}, truth=truth, mix=mix)


def loss(kind: str, output: torch.Tensor, setting: str = "auto", **settings: object):
    return label_loss(setting, metric(kind, settings), {"y": output}, form_of=form_of_output)


def test_the_form_of_an_output_is_seen_by_its_values() -> None:
    assert form_of_output(LOGITS_OF, -1) == LOGITS
    assert form_of_output(LOGITS_OF.softmax(-1), -1) == PROBABILITIES
    assert form_of_output(LOGITS_OF.log_softmax(-1), -1) == LOG_PROBABILITIES
    assert form_of_output(torch.rand(8, 1), -1) == PROBABILITIES


@pytest.mark.parametrize("made", [lambda x: x, lambda x: x.softmax(-1), lambda x: x.log_softmax(-1)])
def test_cross_entropy_is_the_same_of_scores_shares_and_logarithms(made) -> None:
    output = made(LOGITS_OF)
    found = loss("top1", output).of({"y": output}, batch(labels=LABELS))
    wanted = -LOGITS_OF.log_softmax(-1)[torch.arange(3), LABELS].mean()
    assert float(found) == pytest.approx(float(wanted), abs=1e-5)


def test_a_mixed_sample_has_its_share_of_two_truths() -> None:
    one = loss("top1", LOGITS_OF)
    other = torch.tensor([1, 1, 1])
    mixed = one.of({"y": LOGITS_OF}, batch(Mix(truth={"labels": other}, share=0.3), labels=LABELS))
    parts = [one.of({"y": LOGITS_OF}, batch(labels=truth)) for truth in (LABELS, other)]
    assert float(mixed) == pytest.approx(0.3 * float(parts[0]) + 0.7 * float(parts[1]), abs=1e-6)


@pytest.mark.parametrize("made", [lambda x: x, torch.sigmoid])
def test_one_score_is_learnt_by_binary_cross_entropy(made) -> None:
    logits = torch.tensor([[2.0], [-1.0], [0.5]])
    found = loss("auc", made(logits))
    assert found.name == "bce"
    wanted = sum(math.log1p(math.exp(-sign * value)) for sign, value in ((1, 2.0), (-1, -1.0), (1, 0.5))) / 3
    value = found.of({"y": made(logits)}, batch(labels=torch.tensor([1, 0, 1])))
    assert float(value) == pytest.approx(wanted, abs=1e-5)


def test_targets_are_learnt_by_the_mean_square() -> None:
    output = torch.tensor([[1.0], [2.0], [3.0]])
    found = loss("mae", output).of({"y": output}, batch(targets=torch.tensor([1.0, 4.0, 3.0], dtype=torch.float64)))
    assert float(found) == pytest.approx(4 / 3)


def test_pixels_without_a_class_do_not_count() -> None:
    scores = torch.randn(3, 4, 4, 5)
    masks = torch.randint(0, 5, (3, 4, 4))
    masks[:, 0] = 255
    found = loss("miou", scores).of({"y": scores}, batch(masks=masks))
    wanted = -scores[:, 1:].log_softmax(-1).gather(-1, masks[:, 1:, :, None]).mean()
    assert float(found) == pytest.approx(float(wanted), abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_batch_without_a_pixel_that_counts_teaches_nothing(smoothing: float) -> None:
    scores = torch.randn(3, 4, 4, 5, requires_grad=True)
    masks = torch.full((3, 4, 4), 255)
    one = label_loss("auto", metric("miou", {}), {"y": scores}, form_of=form_of_output, label_smoothing=smoothing)
    found = one.of({"y": scores}, batch(masks=masks))
    found.backward()
    assert float(found.detach()) == 0
    assert not scores.grad.any()


def test_a_metric_without_a_loss_is_named() -> None:
    outputs = torch.randn(3, 10, 5)
    with pytest.raises(TrainingInputError, match=r'no loss for the metric edit-distance; name one \(loss = "mse"\)'):
        loss("edit-distance", outputs, alphabet="0123")
    assert loss("edit-distance", outputs, setting="mse", alphabet="0123").name == "mse"


def test_several_answers_of_yes_or_no_need_not_add_up() -> None:
    logits = torch.tensor([[2.0, -1.0, 3.0], [0.5, 0.0, -2.0], [1.0, 1.0, 1.0]])
    truth = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    shares = torch.sigmoid(logits)
    found = loss("mae", shares, setting="bce")
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth)
    assert float(found.of({"y": shares}, batch(targets=truth))) == pytest.approx(float(wanted), abs=1e-5)


@pytest.mark.parametrize("squashed", [False, True])
def test_scores_of_a_linear_layer_are_scores_though_all_lie_from_0_to_1(squashed: bool) -> None:
    class Ending(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def forward(self, x):
            scores = self.layer(x)
            return (torch.sigmoid(scores) if squashed else scores).squeeze(-1)

    assert ends_linearly(torch.fx.symbolic_trace(Ending()), 0) is not squashed
    # What was not traced is judged by its values.
    assert not ends_linearly(Ending(), 0)
    output = torch.full((4, 1), 0.4)
    assert label_loss("auto", metric("auc", {}), {"y": output}, form_of=form_of_output, scores=["y"]).form == LOGITS
    assert loss("auc", output).form == PROBABILITIES


def of_truth(kind: str, name: str, values: object) -> TrainingData:
    """Return three samples with some truth."""
    data = read_calibration(pack_all({"x": np.zeros((3, 1), np.float32)}))
    truth = {name: np.asarray(values)}
    return TrainingData.of(EvaluationSet(split="training", metric=metric(kind, {}), data=data, truth=truth))


@pytest.mark.parametrize(
    ("kind", "setting", "output", "name", "truth", "words"),
    [
        ("top1", "auto", (3, 4), "labels", [0, 4, 1], "has the class 4, and the output 'y' has 4 scores, for 0 to 3"),
        ("auc", "auto", (3, 1), "labels", [0, 2, 1], "has the class 2, and the output 'y' has one score, for 0 and 1"),
        ("mae", "auto", (3, 2), "targets", [0.5, 1.0, 2.0], r"is \[N, 2\] and the training targets are \[N\]"),
        ("miou", "auto", (3, 4, 4, 5), "masks", np.zeros((3, 8, 8), int), r"training masks are \[N, 8, 8\]"),
        ("mae", "cross-entropy", (3, 2), "targets", [0.0, 1.0, 1.0], "reads labels or masks, and the training samples"),
    ],
    ids=["class", "score", "targets", "masks", "loss"],
)
def test_truth_that_an_output_has_no_place_for_is_refused(
    kind: str, setting: str, output: tuple[int, ...], name: str, truth: object, words: str
) -> None:
    given = torch.randn(output)
    with pytest.raises(TrainingInputError, match=words):
        refuse_misfit(loss(kind, given, setting=setting), given, of_truth(kind, name, truth))


def test_pixels_without_a_class_are_no_class_too_many() -> None:
    given = torch.randn(3, 4, 4, 5)
    masks = np.full((3, 4, 4), 255)
    refuse_misfit(loss("miou", given), given, of_truth("miou", "masks", masks))
    with pytest.raises(TrainingInputError, match="has the class 9"):
        refuse_misfit(loss("miou", given), given, of_truth("miou", "masks", np.where(masks == 255, 9, 0)))
