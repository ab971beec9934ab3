"""The flags of modes and axes: what they refuse, in one sentence and before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controller.cli.conftest import QUICK


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--mode", "paced"], "--mode paced needs --rate, such as --rate 20"),
        (["--rate", "20"], "--rate belongs to --mode paced and the mode is single-stream"),
        (["--mode", "sustained", "--duration", "5m", "--point", "4m"], "a curve has two points at least"),
        (["--mode", "stepwise", "--steps", "1,x", "--state", "h=hn"], "'x' is not a whole number above 0"),
        (["--mode", "stepwise", "--steps", "1", "--state", "h"], "'h' is not INPUT=OUTPUT"),
        (["--mode", "stepwise", "--steps", "1", "--state", "h=a", "--state", "h=b"], "--state names 'h' twice"),
        (["--mode", "stepwise", "--steps", "1", "--state", "h=a"], "has no input 'h'"),
        (["--batch", "70000"], "70000 is not in the range 1<=x<=65536"),
        (["--vary", "threads"], "threads is not AXIS=VALUE,VALUE such as threads=1,2"),
        (["--vary", "threads=1"], "--vary threads=1 varies nothing"),
        (["--vary", "threads=1,2", "--vary", "threads=1,4"], "--vary names 'threads' twice"),
        (["--vary", "speed=1,2"], "--vary speed is no axis: vary one of runtime, env"),
    ],
)
def test_flags_that_make_no_sense_are_refused(steelyard, inputs: Path, flags: list[str], sentence: str) -> None:
    line = steelyard("measure", inputs / "conv.onnx", *QUICK, *flags).is_refused()
    assert sentence in line


def test_compare_judges_two_models_and_no_settings(steelyard, inputs: Path) -> None:
    model = inputs / "conv.onnx"
    line = steelyard("compare", model, model, *QUICK, "--vary", "threads=1,2").is_refused()
    assert "compare judges: use steelyard measure" in line


def test_axes_and_a_mode_from_the_command_line_to_the_tables(steelyard, inputs: Path, tmp_path: Path) -> None:
    ran = steelyard(
        *(
            "measure",
            inputs / "dynamic.onnx",
            "--shape",
            "image=4x3x8x8",
            "--mode",
            "offline",
            "--vary",
            "spinning=on,off",
        ),
        *("--json", *QUICK),
    )
    (measurement,) = ran.document["measurements"]
    assert measurement["primary_figure"] == "throughput"
    assert [one["label"] for one in measurement["variants"]] == ["original spinning=on", "original spinning=off"]
    assert all(one["throughput"]["value"] > 0 for one in measurement["variants"])
    for table, columns in (("blocks", "cpu_ns"), ("curves", "temperature_c"), ("samples", "response_ns")):
        written = tmp_path / f"{table}.csv"
        assert steelyard("job", "samples", measurement["job_id"], "-o", written, "--table", table).code == 0
        lines = written.read_text().splitlines()
        assert columns in lines[0]
        assert (len(lines) > 1) == (table != "curves")
