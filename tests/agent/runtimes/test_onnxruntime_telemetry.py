"""ONNX Runtime's official builds report to Microsoft from 1.29 on; in our processes they do not, unless asked to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import models

AGENT = """
import sys
from pathlib import Path
from steelyard_agent.runtimes.lookup import find_runtime
from steelyard_agent.worker.contract import RuntimeOptions
find_runtime("onnxruntime").load(Path(sys.argv[1]), RuntimeOptions())
"""
CONTROLLER = """
import sys
import steelyard
import onnxruntime
onnxruntime.InferenceSession(sys.argv[1])
"""
SAID = "\nimport os\nprint(os.environ['ORT_DISABLE_TELEMETRY'])\n"


def run(program: str, model: Path, home: Path, **said: str) -> str:
    """Run a program with a home of its own, as one who never heard of the variable unless it is ``said``."""
    # In CI the library is silent by itself.
    left_out = {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "CI", "GITHUB_ACTIONS"}
    environ = {name: value for name, value in os.environ.items() if name not in left_out}
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program + SAID, str(model)],
        env={**environ, "HOME": str(home), **said},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("program", [AGENT, CONTROLLER], ids=["agent", "controller"])
def test_no_identifier_and_no_unsent_report_is_left_at_home(program: str, tmp_path: Path) -> None:
    model, home = models.linear_model(tmp_path / "m.onnx"), tmp_path / "home"
    assert run(program, model, home) == "1"
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_what_the_owner_said_is_left_alone(tmp_path: Path) -> None:
    # What stands for the library: a test reports nothing to anybody.
    (tmp_path / "onnxruntime.py").touch()
    program = "import steelyard\nfrom steelyard_agent.runtimes import onnxruntime as adapter\nadapter._library()"
    said = {"ORT_DISABLE_TELEMETRY": "0", "PYTHONPATH": str(tmp_path)}
    assert run(program, tmp_path / "none.onnx", tmp_path / "home", **said) == "0"
