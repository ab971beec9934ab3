from __future__ import annotations

import sys
import time
from pathlib import Path

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


def test_what_a_script_waits_for_is_ended_with_it(tmp_path):
    script = tmp_path / "script"
    # As termux-battery-status without its app: the shell waits for a program that waits for good.
    script.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/child\nwait\n")
    script.chmod(0o700)
    assert "did not answer" in run_program((str(script),), timeout_s=0.5).reason
    child = int((tmp_path / "child").read_text())
    assert is_gone(child)


def is_gone(pid):
    """Return whether a killed process is no more, or waits for init to collect it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False
