"""``steelyard-agent environment``: real interpreters, real workers under them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard_agent.cli import main
from tests.support.runtime_environments import OLDER, TFLITE, needs_tflite_environment, require


def _run(root: Path, *arguments: str) -> int:
    return main(["environment", *arguments, "--state-directory", str(root)])


@pytest.fixture
def bare_venv(tmp_path: Path) -> Path:
    """An interpreter of this Python with numpy and no runtime."""
    import numpy as np

    folder = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    for name in ("numpy", "numpy.libs"):
        (packages / name).symlink_to(Path(np.__file__).parent.with_name(name))
    return folder


@needs_tflite_environment
def test_an_environment_is_added_listed_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python = require(TFLITE)
    assert _run(tmp_path, "add", "tflite", "--python", str(TFLITE)) == 0
    told = capsys.readouterr().out
    assert f"at {python}" in told
    assert "tflite-runtime 2.14.0 (XNNPACK, CPU)" in told
    assert "--runtime tflite-runtime@tflite" in told
    assert _run(tmp_path, "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["environments"] == [{"name": "tflite", "python": str(python), "reason": ""}]
    assert _run(tmp_path, "remove", "tflite") == 0
    assert "its files stay" in capsys.readouterr().out
    assert _run(tmp_path, "list") == 0
    assert "none; add one with" in capsys.readouterr().out


@needs_tflite_environment
def test_a_model_is_measured_in_an_environment_without_a_controller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.support.tflite_models import tflite_linear_model

    assert _run(tmp_path, "add", "old", "--python", str(require(TFLITE))) == 0
    path = tflite_linear_model(tmp_path / "m.tflite")
    capsys.readouterr()
    where = ("--state-directory", str(tmp_path))
    assert main(["measure", str(path), "--runtime", "tflite-runtime@old", "--rounds", "1", "--json", *where]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["runtime"], report["runtime_version"]) == ("tflite-runtime", "2.14.0")
    assert main(["measure", str(path), "--runtime", "litert@nowhere", *where]) == 2
    assert "no runtime environment 'nowhere'; there is: old" in capsys.readouterr().err


def test_one_file_is_measured_under_two_versions_of_a_runtime(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.support.models import conv_model

    assert _run(tmp_path, "add", "older", "--python", str(OLDER)) == 0
    assert "onnxruntime 1.20.1 (CPUExecutionProvider" in capsys.readouterr().out
    path = conv_model(tmp_path / "m.onnx")
    versions = []
    for runtime in ("onnxruntime", "onnxruntime@older"):
        command = ["measure", str(path), "--runtime", runtime, "--rounds", "1", "--json"]
        assert main([*command, "--state-directory", str(tmp_path)]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["launches"][0]["p50_ns"] > 0
        versions.append(report["runtime_version"])
    assert versions[1] == "1.20.1" != versions[0]


def test_the_systems_own_python_runs_what_pip_installed_for_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.support.models import linear_model

    require(OLDER)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    # No venv: the interpreter that this one was made from, with packages as `pip install --user` lays them.
    (tmp_path / "user" / "lib" / version).mkdir(parents=True)
    (tmp_path / "user" / "lib" / version / "site-packages").symlink_to(OLDER / "lib" / version / "site-packages")
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "user"))
    python = Path(sys.base_prefix, "bin", version)
    assert _run(tmp_path, "add", "system", "--python", str(python)) == 0
    assert f"at {python}\n  onnxruntime 1.20.1" in capsys.readouterr().out
    path = linear_model(tmp_path / "m.onnx")
    command = ["measure", str(path), "--runtime", "onnxruntime@system", "--rounds", "1", "--json"]
    assert main([*command, "--state-directory", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["runtime_version"] == "1.20.1"


def test_an_interpreter_without_a_runtime_is_not_added(
    tmp_path: Path, bare_venv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, "add", "bare", "--python", str(bare_venv)) == 2
    told = capsys.readouterr().err
    assert "it has none of onnxruntime, litert, openvino, tflite-runtime" in told
    assert "-m pip install onnxruntime" in told
    assert _run(tmp_path, "list") == 0
    assert "none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("add", "X Y", "--python", sys.executable), "choose another"),
        (("add", "x", "--python", "/nowhere/python"), "cannot be started"),
        (("add", "x", "--python", ""), "--python is empty"),
        (("remove", "x"), "there is no environment 'x'; there is: none"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, *arguments) == 2
    assert part in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [(("add", "--python", "p"), "NAME"), (("add", "x"), "--python"), (("remove",), "NAME"), ((), "COMMAND")],
)
def test_what_is_left_out_is_named(arguments: tuple[str, ...], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["environment", *arguments])
    assert ended.value.code == 2
    assert f"the following arguments are required: {part}" in capsys.readouterr().err


def test_options_may_come_before_the_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, "add", "--python", "/nowhere/python", "early") == 2
    assert "cannot be started" in capsys.readouterr().err


def test_an_interpreter_that_was_taken_away_is_listed_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "environments.toml").write_text('[environment.gone]\npython = "/nowhere/python"\n')
    assert _run(tmp_path, "list") == 0
    assert "gone  /nowhere/python  (there is no program at this path)" in capsys.readouterr().out


def test_a_provider_of_measure_takes_options() -> None:
    from steelyard_agent.cli.arguments import build_parser
    from steelyard_agent.cli.measure import runtime_options
    from steelyard_agent.errors import UsageError

    def providers(text: str) -> list[tuple[str, dict[str, str]]]:
        options = runtime_options(build_parser().parse_args(["measure", "m.onnx", "--provider", text]))
        return [(one.name, dict(one.options)) for one in options.providers]

    assert providers("cuda:device_id=1,use_tf32=0") == [("cuda", {"device_id": "1", "use_tf32": "0"})]
    assert providers("xnnpack") == [("xnnpack", {})]
    assert providers("delegate:/opt/a:b.so") == [("delegate:/opt/a:b.so", {})]
    assert providers("delegate:/a:b.so:on=usb:0,n=2") == [("delegate:/a:b.so", {"on": "usb:0", "n": "2"})]
    for text, sentence in {
        "cuda:device_id": "'device_id' is not KEY=VALUE",
        "cuda:=1": "'=1' is not KEY=VALUE",
        "cuda:a=1,a=2": "gives 'a' twice",
        ":a=1": "has no name, as in cpu",
        "": "has no name, as in cpu",
    }.items():
        with pytest.raises(UsageError, match=sentence):
            providers(text)


@pytest.mark.parametrize("text", ["litert@", "@tflite", "@"])
def test_half_of_a_runtime_and_its_environment_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "m.tflite", "--runtime", text]) == 2
    assert f"--runtime '{text}' is not NAME@ENV, as in litert@tflite" in capsys.readouterr().err


def test_an_interpreter_under_which_no_worker_runs_says_so_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chatty = tmp_path / "python"
    chatty.write_text(f'#!/bin/sh\necho welcome\nexec {sys.executable} "$@"\n')
    chatty.chmod(0o755)
    assert _run(tmp_path, "add", "chatty", "--python", str(chatty)) == 2
    told = capsys.readouterr().err
    assert f"no worker runs under {chatty}" in told
    assert told.count("nonsense") == 1
    assert "prints nothing by itself" in told


def test_a_runtime_that_is_there_and_broken_is_told_from_one_that_is_not(
    tmp_path: Path, bare_venv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (packages,) = (bare_venv / "lib").glob("python*/site-packages")
    (packages / "onnxruntime").mkdir()
    (packages / "onnxruntime" / "__init__.py").write_text("import onnxruntime.capi")
    assert _run(tmp_path, "add", "broken", "--python", str(bare_venv)) == 2
    told = capsys.readouterr().err
    assert "onnxruntime: ONNX Runtime cannot be imported here (No module named 'onnxruntime.capi')" in told
    assert "in another environment than the agent's pip install onnxruntime" in told
    assert "openvino" not in told
