from __future__ import annotations

import sys

import pytest

from steelyard_agent.commands import CommandAnswer, run_program


def test_a_program_answers_with_what_it_printed():
    assert run_program((sys.executable, "-c", "print('hello')")) == CommandAnswer(output="hello")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ((sys.executable, "-c", "raise SystemExit('not today')"), "ended with status 1 and said: not today"),
        (("steelyard-no-such-command",), "the program steelyard-no-such-command is not installed here"),
    ],
)
def test_a_program_that_gives_no_answer_gives_a_reason(command, reason):
    answer = run_program(command)
    assert (answer.output, answer.text) == (None, "")
    assert reason in answer.reason


def test_a_program_that_hangs_is_given_up():
    answer = run_program((sys.executable, "-c", "import time; time.sleep(60)"), timeout_s=0.05)
    assert "did not answer within 0.05 s" in answer.reason


def test_an_answer_is_a_text_or_a_reason():
    for output, reason in ((None, ""), ("text", "reason")):
        with pytest.raises(ValueError, match="does not fit"):
            CommandAnswer(output=output, reason=reason)
