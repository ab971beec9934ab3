"""`measure --extend` and the flags of verdicts: what is refused before a controller is asked."""

from __future__ import annotations

import pytest

from tests.controller.cli.running import run_command


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("model.onnx",), "MODEL cannot be given beside --extend 3f9a"),
        (("--threads", "2"), "--threads cannot be given"),
        (("--require", "p90<1ms", "--recipe", "float16"), "--recipe, --require cannot be given"),
        (("--min-effect", "5%"), "--min-effect cannot be given"),
        (("--no-gate",), "--gate/--no-gate cannot be given"),
        (("--min-rounds", "9"), "--min-rounds cannot be given"),
    ],
)
def test_what_the_extended_measurement_settled_is_refused(words: tuple[str, ...], named: str) -> None:
    line = run_command("measure", "--extend", "3f9a", *words).is_refused()
    assert named in line
    assert "measure anew without --extend" in line


def test_a_measurement_without_a_model_says_what_to_name() -> None:
    assert "--extend JOB" in run_command("measure", "--local").is_refused()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--min-effect", "0"), "--min-effect 1%"),
        (("--margin", "0%"), "--margin 1%"),
        (("--target-half-width", "0"), "--target-half-width 1%"),
        (("--margin", "lots"), "'lots' is not a percentage"),
        (("--min-effect", "5%", "--margin", "1%"), "a margin of 1 % is below the minimum effect of 5 %"),
        (("--min-effect", "100%"), "a minimum effect lies between 0 and 1"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused_with_the_value(words: tuple[str, ...], named: str) -> None:
    assert named in run_command("measure", "model.onnx", "--local", *words).is_refused()
