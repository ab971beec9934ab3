"""Bad input on the command line: one line that names the value and the next step, and the next command runs."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from tests.controller.cli.conftest import QUICK
from tests.controller.cli.running import run_command
from tests.support.models import external_data_model

NOBODY = "127.0.0.1:1"


@pytest.fixture
def bad(tmp_path: Path, inputs: Path) -> Path:
    """A folder of files that are not what they say."""
    whole = (inputs / "conv.onnx").read_bytes()
    (tmp_path / "truncated.onnx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "random.onnx").write_bytes(np.random.default_rng(0).bytes(4096))
    (tmp_path / "random.tflite").write_bytes(np.random.default_rng(1).bytes(4096))
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "folder.onnx").mkdir()
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(2 * 1024**3 + 1)
    external_data_model(tmp_path / "parted.onnx")
    (tmp_path / "parted.onnx.data").unlink()
    x = np.zeros((6, 1, 12, 12), dtype=np.float32)
    np.savez(tmp_path / "no_samples.npz", x=x[:0], y=np.zeros(0, dtype=np.int64))
    np.savez(tmp_path / "far_labels.npz", x=x, y=np.array([0, 1, 2, 3, 4, 77]))
    np.savez(tmp_path / "few_labels.npz", x=x, y=np.arange(5))
    np.savez(tmp_path / "small.npz", x=x[:, :, :5], y=np.arange(6))
    np.savez(tmp_path / "unnamed.npz", foo=x)
    (tmp_path / "random.npz").write_bytes(b"not a zip at all")
    (tmp_path / "bad.toml").write_text('name = "x"\n[[steps]]\nkind = "static-int9"\n')
    (tmp_path / "file").write_text("in the way")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        *("truncated.onnx", "random.onnx", "random.tflite", "empty.onnx", "folder.onnx"),
        *("huge.onnx", "parted.onnx", "missing.onnx"),
    ],
)
@pytest.mark.parametrize("command", ["measure", "compress"])
def test_a_file_that_is_no_model_is_named(steelyard, bad: Path, name: str, command: str) -> None:
    rest = QUICK if command == "measure" else ("--recipe", "float16")
    line = steelyard(command, bad / name, *rest).is_refused()
    assert name in line
    assert len(line) > len(str(bad / name)) + 30


@pytest.mark.parametrize(
    ("task", "named"),
    [
        ("no_samples.npz", "0"),
        ("far_labels.npz", "77"),
        ("few_labels.npz", "5"),
        ("small.npz", "5"),
        ("unnamed.npz", "foo"),
        ("random.npz", "random.npz"),
        ("missing.npz", "missing.npz"),
        ("missing.toml", "missing.toml"),
    ],
)
def test_data_that_does_not_fit_is_named(steelyard, bad: Path, inputs: Path, task: str, named: str) -> None:
    line = steelyard("measure", inputs / "conv.onnx", "--task", bad / task, *QUICK).is_refused()
    assert named in line


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["measure", "CONV", "--recipe", "static-int9"], "'static-int8'"),
        (["measure", "CONV", "--recipe", "nowhere.toml"], "nowhere.toml"),
        (["measure", "CONV", "--recipe", "bad.toml"], "'static-int8'"),
        (["measure", "CONV", "--recipe", "static-int8"], "--task"),
        (["measure", "CONV", "--require", "p90<20m"], "'p90<20m'"),
        (["measure", "CONV", "--require", "latency<20ms"], "p50"),
        (["measure", "CONV", "--require", "drop<1pp"], "--task"),
        (["measure", "CONV", "--requir", "p90<20ms"], "--require"),
        (["measure", "CONV", "--device", "nobody"], "'nobody'"),
        (["measure", "CONV", "--device", "pi5", "--local"], "give one of them"),
        (["measure", "CONV", "--shape", "image=1xx3"], "image=1x3x224x224"),
        (["measure", "CONV", "--shape", "imag=1x1x12x12", "--no-gate"], "image"),
        (["measure", "CONV", "--budget", "soon"], "90s"),
        (["measure", "CONV", "--threads", "0"], "0"),
        (["measure", "CONV", "--sample-window", "1ms"], "10"),
        (["measure", "CONV", "--block-timeout", "2h"], "3600"),
        (["measure", "CONV", "--provider", "CPUExecutionProvider:x"], "KEY=VALUE"),
        (["measure", "CONV", "--provider", "CUDAExecutionProvider", "--no-gate"], "CUDAExecutionProvider"),
        (["measure", "CONV", "--runtime", "onnxruntme", "--no-gate"], "onnxruntme"),
        (["measure"], "name a model"),
        (["mesure", "CONV"], "'measure'"),
        (["measure", "nothing-of-that-name"], "nor is"),
        (["artifact", "show", "cnov"], "cnov"),
        (["device", "show", "lokal"], "'local'"),
        (["job", "show", "beef" * 8], "beef"),
        (["job", "samples", "beefbeef", "-o", "out.csv"], "beef"),
        (["job", "samples", "beefbeef", "-o", "out.xlsx"], ".parquet"),
        (["report", "beefbeef"], "beef"),
        (["compress", "CONV"], "--recipe"),
        (["export", "conv", "-o", "file"], "file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_words_that_mean_nothing_are_refused_with_the_nearest(
    steelyard, bad: Path, inputs: Path, measured, words: list[str], named: str
) -> None:
    typed = [str(inputs / "conv.onnx") if word == "CONV" else word for word in words]
    assert named in steelyard(*typed).is_refused()


@pytest.mark.parametrize(
    "words",
    [
        ["report", "JOB", "-o", "file/report.html"],
        ["report", "JOB", "-o", "folder.onnx"],
        ["job", "samples", "JOB", "-o", "file/samples.csv"],
        ["job", "samples", "JOB", "-o", "nowhere/samples.parquet"],
        ["export", "conv", "-o", "file/shipped"],
    ],
    ids=" ".join,
)
def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left_there(
    steelyard, bad: Path, measured, words: list[str]
) -> None:
    job_id = measured.document["measurements"][0]["job_id"]
    before = sorted(bad.rglob("*"))
    line = steelyard(*[job_id if word == "JOB" else word for word in words]).is_refused()
    assert words[-1] in line
    assert sorted(bad.rglob("*")) == before


def test_a_report_that_cannot_be_written_does_not_lose_its_measurement(steelyard, bad: Path, inputs: Path) -> None:
    ran = steelyard("measure", inputs / "conv.onnx", "--report", bad / "file" / "r.html", *QUICK)
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    job_id = line.partition("steelyard report ")[2].split()[0]
    assert steelyard("job", "show", job_id).code == 0


def test_after_all_of_these_the_next_command_runs(steelyard, inputs: Path) -> None:
    ran = steelyard("measure", inputs / "conv.onnx", *QUICK)
    assert ran.code == 0
    assert ran.err == ""


# -- settings and controllers ---------------------------------------------------------------------------------------


def test_in_ci_this_machine_is_not_measured_by_accident(
    steelyard, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    without_local = [word for word in QUICK if word != "--local"]
    line = steelyard("measure", inputs / "conv.onnx", *without_local).is_refused()
    assert "--local" in line
    assert "CI" in line
    assert "--local" in steelyard("compare", "conv", "conv", *without_local).is_refused()


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["--controller", "unix:/nowhere/control.sock", "device", "list"], 4, "steelyard serve"),
        (["--controller", NOBODY, "device", "list"], 2, "steelyard login CODE"),
        (["--controller", "laptop", "device", "list"], 2, "'laptop'"),
        (["--listen", "0.0.0.0:7433", "device", "list"], 2, "ssh -R"),
        (["--listen", "7433", "device", "list"], 2, "HOST:PORT"),
        (["--state-directory", "file", "device", "list"], 2, "--state-directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_controller_that_cannot_be_had_is_said_with_what_to_do(
    bad: Path, words: list[str], code: int, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steelyard.control import connect

    monkeypatch.setattr(connect, "_READY_TIMEOUT_S", 0.2)
    assert named in run_command(*words).is_refused(code)


def test_a_port_that_is_taken_is_named(bad: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        words = ("--state-directory", str(bad / "own"), "--listen", address, "device", "list")
        line = run_command(*words).is_refused(4)
    assert address in line
    assert "--listen" in line
    assert run_command(*words).code == 0


def test_a_setting_file_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    (tmp_path / "steelyard.toml").write_text('agent_lisen = "127.0.0.1:7433"\n')
    line = run_command("device", "list").is_refused()
    assert "steelyard.toml" in line
    assert "'agent_listen'" in line


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "away").symlink_to(tmp_path / "file" / "nowhere")
    (tmp_path / "file").touch()
    target = str(tmp_path / "away" / "state")
    assert target in run_command("--state-directory", target, "device", "list").is_refused()


def test_words_that_are_not_utf_8_are_refused(steelyard) -> None:
    assert "UTF-8" in steelyard("artifact", "show", "caf\udce9").is_refused()


def test_what_others_named_does_not_steer_the_terminal(steelyard) -> None:
    line = steelyard("artifact", "show", "\x1b[31mred").is_refused()
    assert "\x1b" not in line
