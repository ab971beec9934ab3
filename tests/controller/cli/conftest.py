"""One controller and one local agent for all tests of the command line, tiny models, and one measurement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.settings import Settings
from tests.controller.cli.running import Ran, run_command
from tests.support.anywhere import ANYWHERE_FLAGS
from tests.support.models import conv_model, two_dynamic_dims_model

QUICK = ("--min-rounds", "3", "--max-rounds", "3", "--sample-window", "20ms", "--local", *ANYWHERE_FLAGS)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of this machine's user, no CI, and a working folder of its own."""
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "STEELYARD_STATE_DIRECTORY", "STEELYARD_CONTROLLER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="package")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli-state")


@pytest.fixture(scope="package")
def client(state: Path) -> Iterator[Client]:
    """Holds the state directory: every command finds this controller instead of starting its own."""
    with connect(settings=Settings(state_directory=state, agent_listen="127.0.0.1:0")) as connected:
        yield connected


@pytest.fixture(scope="package")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models and labelled data: conv.onnx, dynamic.onnx, data.npz."""
    folder = tmp_path_factory.mktemp("cli-inputs")
    conv_model(folder / "conv.onnx")
    two_dynamic_dims_model(folder / "dynamic.onnx")
    rng = np.random.default_rng(0)
    arrays = {
        "x_eval": rng.standard_normal((60, 1, 12, 12)).astype(np.float32),
        "y_eval": rng.integers(0, 10, 60),
        "x_calib": rng.standard_normal((20, 1, 12, 12)).astype(np.float32),
    }
    np.savez(folder / "data.npz", **arrays)
    return folder


@pytest.fixture(scope="package")
def measured(client: Client, state: Path, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """`steelyard measure` of a model and a variant with data, as JSON, with its report."""
    report = tmp_path_factory.mktemp("cli-report") / "made" / "report.html"
    required = ("--require", "p90<10s", "--require", "memory<10GB")
    return run_command(
        *("--state-directory", str(state), "measure", str(inputs / "conv.onnx"), "--recipe", "static-int8"),
        *("--task", str(inputs / "data.npz"), "--json", "--report", str(report), *required, *QUICK),
    )


@pytest.fixture
def steelyard(client: Client, state: Path):
    """Run a command against the shared controller, in this process."""

    def run(*arguments: object) -> Ran:
        return run_command("--state-directory", str(state), *map(str, arguments))

    return run
