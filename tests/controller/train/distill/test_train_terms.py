"""The terms of distillation, held against their formulas; and which layers belong together."""

from __future__ import annotations

import pytest

from steelyard.train.distill.features import pairs_of
from steelyard.train.distill.terms import relative_error, soft_labels, soft_values
from steelyard.train.loop.output_form import LOG_PROBABILITIES, LOGITS, PROBABILITIES
from steelyard.train.loop.trainable import TrainableModel

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")

STUDENT = torch.tensor([[1.0, 0.0, -2.0], [0.5, 2.0, 0.0]])
TEACHER = torch.tensor([[3.0, -1.0, 0.0], [0.0, 4.0, 1.0]])


def soft(student: torch.Tensor, *teachers: torch.Tensor, forms: tuple[str, ...] = (), temperature: float = 4.0):
    forms = forms or (LOGITS,) * (1 + len(teachers))
    return soft_labels(student, teachers, forms=forms, axis=1, temperature=temperature)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_soft_labels_are_the_divergence_times_the_square_of_the_temperature(temperature: float) -> None:
    shares, own = (TEACHER / temperature).softmax(1), (STUDENT / temperature).log_softmax(1)
    wanted = temperature**2 * torch.nn.functional.kl_div(own, shares, reduction="batchmean")
    assert float(soft(STUDENT, TEACHER, temperature=temperature)) == pytest.approx(float(wanted), rel=1e-5)
    assert float(soft(TEACHER, TEACHER, temperature=temperature)) == pytest.approx(0, abs=1e-6)


def test_soft_labels_are_the_same_of_scores_shares_and_logarithms() -> None:
    wanted = float(soft(STUDENT, TEACHER))
    for make, form in ((torch.softmax, PROBABILITIES), (torch.log_softmax, LOG_PROBABILITIES)):
        assert float(soft(make(STUDENT, 1), TEACHER, forms=(form, LOGITS))) == pytest.approx(wanted, rel=1e-4)
        assert float(soft(STUDENT, make(TEACHER, 1), forms=(LOGITS, form))) == pytest.approx(wanted, rel=1e-4)


def test_of_several_teachers_the_shares_are_averaged_and_not_the_scores() -> None:
    mean = ((STUDENT.softmax(1) + TEACHER.softmax(1)) / 2).log()
    assert float(soft(STUDENT, STUDENT, TEACHER, temperature=1.0)) == pytest.approx(
        float(soft(STUDENT, mean, temperature=1.0)), rel=1e-5
    )


def test_the_gradient_of_soft_labels_goes_to_the_student_and_not_to_the_teacher() -> None:
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone()
    soft(student, teacher).backward()
    # T² times (q - p) / T over the batch (Hinton et al. 2015, equation 2).
    wanted = 4.0 * ((STUDENT / 4).softmax(1) - (TEACHER / 4).softmax(1)) / len(STUDENT)
    torch.testing.assert_close(student.grad, wanted, rtol=1e-4, atol=1e-6)


def test_errors_of_values_are_shares_of_their_variance() -> None:
    assert float(relative_error(TEACHER + 1, TEACHER)) == pytest.approx(1 / float(TEACHER.var(unbiased=False)))
    scaled = relative_error(1000 * STUDENT, 1000 * TEACHER)
    assert float(scaled) == pytest.approx(float(relative_error(STUDENT, TEACHER)), rel=1e-5)
    assert float(soft_values(STUDENT, [STUDENT - 1, STUDENT + 1])) == pytest.approx(0, abs=1e-12)
    halves = relative_error(STUDENT.bfloat16(), TEACHER.bfloat16())
    assert halves.dtype == torch.float32


@pytest.mark.parametrize("size", [1, 3])
def test_the_error_of_values_that_are_all_the_same_is_a_share_of_their_square(size: int) -> None:
    wanted = torch.full((size, 1), 300.0)
    assert float(relative_error(wanted + 30, wanted)) == pytest.approx(0.01)
    # A small scatter beside a large mean is a variance all the same.
    near = 300 + torch.tensor([[0.0], [0.02]])
    assert float(relative_error(near + 0.01, near)) == pytest.approx(1, rel=0.05)


def test_layers_are_paired_by_the_size_of_their_maps_the_last_ones_first() -> None:
    def model(*widths: int) -> TrainableModel:
        layers, given = [], 1
        for width in widths:
            layers += [torch.nn.Conv2d(given, width, 3, padding=1, stride=2), torch.nn.Conv2d(width, width, 1)]
            given = width
        return TrainableModel(module=torch.nn.Sequential(*layers).eval(), input_names=("image",), output_names=("map",))

    inputs = {"image": torch.zeros(2, 1, 16, 16)}
    assert pairs_of(("auto",), model(2, 3), model(4, 5), inputs) == (("1", "1"), ("3", "3"))
    assert pairs_of(("auto",), model(2), model(4, 5, 6), inputs) == (("1", "1"),)
    assert pairs_of(("0:2",), model(2), model(4, 5), inputs) == (("0", "2"),)
