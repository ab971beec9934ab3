"""The example of a plugin: installed like anybody's, held to its contracts, compressed and measured with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

from tests.support.anywhere import ANYWHERE_FLAGS
from tests.support.models import conv_model

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"
TASK = """
name = "unequal classes"
data = "data.npz"

[evaluation]
inputs = "x"
labels = "y"

[calibration]
inputs = "c"

[[operations]]
kind = "gamma"
gamma = 0.8

[preprocess]
divide = 255.0

[metric]
kind = "balanced-accuracy"
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the example beside what is installed here; no network is used."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    found = folder / "bin" / "python"
    site = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    # addsitedir also follows the links of editable installs.
    (Path(site) / "beside.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    done = subprocess.run(
        [str(found), "-m", "pip", "install", "-q", "--no-index", "--no-build-isolation", "--no-deps", str(EXAMPLE)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    np.savez(
        folder / "data.npz",
        x=rng.integers(0, 256, (40, 1, 12, 12), dtype=np.uint8),
        y=rng.integers(0, 10, 40),
        c=rng.integers(0, 256, (20, 1, 12, 12), dtype=np.uint8),
    )
    (folder / "task.toml").write_text(TASK)
    conv_model(folder / "model.onnx", depth=2)
    return folder


def steelyard(python: Path, state: Path, *words: object) -> dict:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-m", "steelyard", "--state-directory", str(state), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def test_the_environment_lists_what_the_example_brings(python: Path, tmp_path: Path) -> None:
    rows = steelyard(python, tmp_path, "plugin", "list", "--json")["plugins"]
    assert [(row["brings"], row["kind"], row["usable"]) for row in rows] == [
        ("steps", "clip-weights", True),
        ("metrics", "balanced-accuracy", True),
        ("preprocessing", "gamma", True),
    ]
    assert {(row["plugin"], row["version"]) for row in rows} == {("steelyard-example-plugin", "1.0.0")}


def test_its_own_tests_pass_where_it_is_installed(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            str(python),
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--rootdir={tmp_path}",
            str(EXAMPLE / "tests"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout


def test_a_variant_of_its_step_is_measured_by_its_metric(python: Path, data: Path, tmp_path: Path) -> None:
    model, task = data / "model.onnx", data / "task.toml"
    made = steelyard(python, tmp_path, "compress", model, "--recipe", "clip-weights+float16", "--task", task, "--json")
    (variant,) = made["variants"]
    first, second = variant["lineage"]["steps"]
    assert first["plugin"].startswith("steelyard-example-plugin 1.0.0 ")
    assert not second.get("plugin")
    assert first["evaluation"]["metric"] == "balanced-accuracy"
    words = [
        "--task",
        task,
        "--local",
        "--budget",
        "60s",
        "--min-rounds",
        "3",
        "--max-rounds",
        "3",
        *ANYWHERE_FLAGS,
        "--sample-window",
        "20ms",
    ]
    measured = steelyard(python, tmp_path, "measure", model, variant["name"], *words, "--json")
    (one,) = measured["measurements"]
    assert (one["metric"]["kind"], one["metric"]["label"]) == ("balanced-accuracy", "balanced accuracy")
    scores = [variant["accuracy"] for variant in one["variants"]]
    # float16 of clipped weights may answer a sample otherwise; the same code scored it here and on the device.
    assert scores[0]["value"] == made["variants"][0]["lineage"]["parent_evaluation"]["value"]
    assert all(score["low"] <= score["value"] <= score["high"] for score in scores)


def test_the_same_step_from_a_file_is_told_by_the_files_digest(tmp_path: Path, data: Path) -> None:
    source = (EXAMPLE / "src/steelyard_example/clip_weights.py").read_text()
    path = tmp_path / "clip.py"
    path.write_text(f"{source}\n\n__version__ = \"2\"\nSTEELYARD_PLUGIN = {{'steps': [ClipWeights]}}\n")
    words = ["compress", data / "model.onnx", "--recipe", "clip-weights,deviations=2.0", "--plugin", path, "--json"]
    made = steelyard(Path(sys.executable), tmp_path / "state", *words)
    (step,) = made["variants"][0]["lineage"]["steps"]
    assert step["plugin"].split(" ")[:2] == ["clip.py", "2"]
