"""The contract of a runtime in environments other than the agent's: tflite-runtime, and an older ONNX Runtime."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.contracts import test_runtime_contract
from tests.support import models, tflite_models
from tests.support.runtime_environments import OLDER, TFLITE, needs_tflite_environment, require

REPOSITORY = Path(__file__).parents[2]


@needs_tflite_environment
def test_tflite_runtime_keeps_the_contract_of_a_runtime(tmp_path: Path) -> None:
    # That environment has no schema to write models with.
    tflite_models.tflite_linear_model(tmp_path / "linear.tflite", dynamic_batch=True)
    tflite_models.tflite_unknown_op_model(tmp_path / "unknown_op.tflite")
    tflite_models.tflite_accumulator_model(tmp_path / "accumulator.tflite")
    _keeps_the_contract("tflite-runtime", require(TFLITE), tmp_path)


def test_an_older_onnxruntime_keeps_the_contract_of_a_runtime(tmp_path: Path) -> None:
    models.linear_model(tmp_path / "linear.onnx")
    models.unknown_op_model(tmp_path / "unknown_op.onnx")
    models.accumulator_model(tmp_path / "accumulator.onnx")
    _keeps_the_contract("onnxruntime", require(OLDER), tmp_path)


def _keeps_the_contract(runtime: str, python: Path, folder: Path) -> None:
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTEST_"))}
    options = ("-c", folder / "pytest.ini", "--rootdir", REPOSITORY, "--import-mode=importlib")
    done = subprocess.run(
        [
            *(python, "-m", "pytest", *options, "-q", "-ra", "-W", "error", "-p", "no:cacheprovider"),
            REPOSITORY / "tests" / "contracts" / "test_runtime_contract.py",
        ],
        cwd=folder,
        env={
            **environment,
            "PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "agent"))),
            test_runtime_contract.READY_RUNTIME: runtime,
            test_runtime_contract.READY_MODELS: str(folder),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)
    assert passed is not None, done.stdout
    # As many as there are for any one runtime here: none skipped, none deselected.
    assert int(passed[1]) == _contract_test_count()


def _contract_test_count() -> int:
    """Return how many cases the contract has for one runtime, parameters counted."""
    count = 0
    for name, function in vars(test_runtime_contract).items():
        if name.startswith("test_"):
            marks = getattr(function, "pytestmark", [])
            count += sum(len(mark.args[1]) for mark in marks if mark.name == "parametrize") or 1
    return count
