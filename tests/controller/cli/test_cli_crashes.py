"""No crash looks like a regression: whatever compares or judges ends in 70 with a report where a bug of ours was."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from steelyard.control import connect as connecting
from tests.controller.cli.running import run_command
from tests.support.models import conv_model

SUITE = """
[suite]
name = "shelf"
[devices]
names = ["pi5"]
[[model]]
name = "m"
file = "a.onnx"
"""
COMMANDS = {
    "nightly run": ("nightly", "run", "night.toml"),
    "gate": ("gate", "a.onnx", "b.onnx", "--device", "pi5"),
    "compare": ("compare", "a.onnx", "b.onnx", "--device", "pi5"),
    "bisect": ("bisect", "a.onnx", "b.onnx", "--device", "pi5", "--fail-if", "p50 > +3%"),
    "report": ("report", "0123abcd"),
}


class BrokenClient:
    """A controller's client with a bug in whatever is asked of it first."""

    def __getattr__(self, name: str) -> NoReturn:
        raise ZeroDivisionError(f"in {name}")


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_bug_in_a_judging_command_is_70_with_a_crash_report_and_no_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    @contextmanager
    def connect(**_: Any) -> Iterator[BrokenClient]:
        yield BrokenClient()

    conv_model(tmp_path / "a.onnx")
    conv_model(tmp_path / "b.onnx", depth=2)
    (tmp_path / "night.toml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "reports").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("STEELYARD_TOKEN", "syt1-a-secret")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "reports"))
    monkeypatch.setattr(connecting, "connect", connect)

    ran = run_command(*words)

    assert (ran.code, ran.out) == (70, "")
    (report,) = (tmp_path / "reports").glob("steelyard-crash-*.txt")
    assert ran.err.splitlines()[-1] == f"steelyard: a bug of ours; the crash report is {report}"
    text = report.read_text("utf-8")
    assert "ZeroDivisionError: in " in text
    assert "a-secret" not in text
