"""Which changes matter, from what a person says to the request."""

from __future__ import annotations

import pytest

from steelyard.control.verdict_options import VerdictOptions, complete_verdicts
from steelyard.errors import UsageError
from steelyard_protocol.v1 import control_pb2


def completed(**fields: float) -> control_pb2.SubmitMeasurementRequest:
    request = control_pb2.SubmitMeasurementRequest()
    VerdictOptions(**fields).add_to(request)
    complete_verdicts(request)
    return request


def test_what_is_left_open_is_spelled_out() -> None:
    request = completed()
    assert (request.minimum_effect, request.equivalence_margin, request.target_half_width) == (0.02, 0.03, 0.02)


def test_one_threshold_pulls_the_other_along() -> None:
    assert completed(minimum_effect=0.1).equivalence_margin == 0.1
    assert completed(equivalence_margin=0.01).minimum_effect == 0.01


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"minimum_effect": 1.0}, "a minimum effect lies between 0 and 1"),
        ({"equivalence_margin": -0.01}, "a margin lies between 0 and 1"),
        ({"minimum_effect": 0.03, "equivalence_margin": 0.02}, "would never have a verdict: change --min-effect or"),
        ({"target_half_width": 1.0}, "a half-width of 100 % is not between 0 and 100 %"),
    ],
)
def test_what_no_measurement_can_keep_is_refused_when_it_is_made(fields: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        VerdictOptions(**fields)
