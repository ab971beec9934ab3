"""What fails beside other tests runs once more alone; what fails twice, and what fails in numbers, is a failure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.whole_run import MOST_AGAIN, main

PYTEST = (sys.executable, "-m", "pytest", "-q")
# Fails until it has been run: what a busy machine does to a test.
ONCE = """
from pathlib import Path
def test_{name}():
    mark = Path("{name}.ran")
    was_run = mark.exists()
    mark.touch()
    assert was_run
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_good.py").write_text("def test_good():\n    pass\n")
    return tmp_path


def run(project: Path) -> int:
    return main(["-n", "2", "--dist", "loadfile"], root=project, pytest=PYTEST)


def test_a_test_that_passes_alone_is_named(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "test_once.py").write_text(ONCE.format(name="once"))
    assert run(project) == 0
    shown = capfd.readouterr().out
    assert "1 failed beside the others; they run once more" in shown
    assert "passed by themselves, failed beside others (mend them):\n  test_once.py::test_once" in shown


def test_a_test_that_fails_twice_is_a_failure(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "test_once.py").write_text(ONCE.format(name="once"))
    (project / "test_bad.py").write_text("def test_bad():\n    assert False\n")
    assert run(project) == 1
    assert "mend them" not in capfd.readouterr().out


def test_many_that_fail_are_a_failure_at_once(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(MOST_AGAIN + 1):
        (project / f"test_once_{number}.py").write_text(ONCE.format(name=f"once_{number}"))
    assert run(project) == 1
    assert "once more" not in capfd.readouterr().out


def test_what_failed_in_an_earlier_run_is_not_run_again(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = project / "test_bad.py"
    bad.write_text("def test_bad():\n    assert False\n")
    assert run(project) == 1
    bad.unlink()
    (project / "test_once.py").write_text(ONCE.format(name="once"))
    assert run(project) == 0
    assert "test_bad" not in capfd.readouterr().out.rpartition("once more")[2]
