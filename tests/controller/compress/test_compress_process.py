"""Compression in a process of its own: the same result, progress, and a sentence however the process ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format

from steelyard.compress.errors import CompressionError, CompressionInputError
from steelyard.compress.messages import CompressionRequest, ScoringFiles, parse_request
from steelyard.compress.process import compress_in_process
from steelyard.compress.recipe_text import load_recipe
from steelyard.compress.result import CompressionResult
from steelyard.compress.run import compress
from steelyard.errors import SteelyardError
from steelyard_protocol.v1 import control_pb2
from tests.controller.compress.inputs import packed_samples
from tests.support.models import conv_model, endless_model, linear_model


async def _compress(model: Path, recipe: str = "float16", **options: object) -> CompressionResult:
    return await compress_in_process(
        model,
        load_recipe(recipe),
        **{
            "calibration_path": None,
            "seed": 7,
            "processor_features": ("avx2",),
            "out_dir": model.parent / "out",
            **options,
        },
    )


def _interpreter(folder: Path, script: str) -> str:
    """Write a stand-in for the interpreter: a shell script that ignores what it is told."""
    path = folder / "interpreter"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


async def test_a_process_makes_the_same_variant_as_a_call(tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx")
    calibration = tmp_path / "calibration.npz"
    calibration.write_bytes(packed_samples())
    seen: list[tuple[str, int, int]] = []
    result = await _compress(
        model,
        "static-int8",
        calibration_path=calibration,
        progress=lambda message, done, total: seen.append((message, done, total)),
    )
    direct = compress(
        model,
        load_recipe("static-int8"),
        calibration=packed_samples(),
        seed=7,
        processor_features=("avx2",),
        out_dir=tmp_path / "direct",
    )
    assert (result.digest, result.size_bytes, result.notes) == (direct.digest, direct.size_bytes, direct.notes)
    for lineage in (result.lineage, direct.lineage):
        assert lineage.steps[0].duration_s > 0
        lineage.steps[0].ClearField("duration_s")
    assert result.lineage.steps == direct.lineage.steps
    assert result.lineage.created_at.seconds > 0
    assert ("step 1 of 1, static-int8: calibrating", 24, 24) in seen
    assert list((tmp_path / "out").iterdir()) == [result.path]


async def test_an_input_that_does_not_suit_is_the_same_error_as_in_a_call(tmp_path: Path) -> None:
    with pytest.raises(CompressionInputError, match="calibration split") as caught:
        await _compress(linear_model(tmp_path / "m.onnx"), "static-int8")
    assert (caught.value.reason, caught.value.exit_code) == ("no_calibration_data", 2)
    assert not list((tmp_path / "out").iterdir())


async def test_an_output_folder_that_cannot_be_made_is_an_error_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(CompressionError, match="cannot be used"):
        await _compress(linear_model(tmp_path / "m.onnx"))


async def test_a_process_that_is_killed_is_named_by_its_signal(tmp_path: Path) -> None:
    with pytest.raises(CompressionError, match="SIGKILL") as caught:
        await _compress(linear_model(tmp_path / "m.onnx"), interpreter=_interpreter(tmp_path, "kill -KILL $$"))
    assert caught.value.reason == "killed"
    assert not list((tmp_path / "out").iterdir())


async def test_a_process_that_says_nothing_is_a_bug_with_its_last_words(tmp_path: Path) -> None:
    script = "echo first >&2; echo last words >&2; exit 3"
    with pytest.raises(CompressionError, match=r"code 3 .*last words") as caught:
        await _compress(linear_model(tmp_path / "m.onnx"), interpreter=_interpreter(tmp_path, script))
    assert caught.value.reason == "internal"


@pytest.mark.parametrize(
    "words",
    [
        "Segmentation fault",
        "[1, 2]",
        '{"done": 3}',
        "{",
        '{"event": "progress", "done": "x"}',
        '{"event": "step", "step": 3}',
    ],
)
async def test_a_process_that_writes_garbage_is_a_bug_that_shows_it(tmp_path: Path, words: str) -> None:
    script = f"echo '{words}'; exec sleep 600"
    with pytest.raises(CompressionError) as caught:
        await _compress(linear_model(tmp_path / "m.onnx"), interpreter=_interpreter(tmp_path, script))
    assert caught.value.reason == "internal"
    assert words in str(caught.value)
    assert not list((tmp_path / "out").iterdir())


async def test_cancelling_kills_the_process_and_removes_its_work(tmp_path: Path) -> None:
    started = asyncio.Event()
    script = 'echo \'{"event": "progress", "message": "begun", "done": 0, "total": 1}\'; exec sleep 600'
    task = asyncio.create_task(
        _compress(
            endless_model(tmp_path / "m.onnx"),
            interpreter=_interpreter(tmp_path, f"echo $$ > {tmp_path}/pid; {script}"),
            progress=lambda message, done, total: started.set(),
        )
    )
    await asyncio.wait_for(started.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    process_id = (tmp_path / "pid").read_text().strip()
    with pytest.raises(ProcessLookupError):
        os.kill(int(process_id), 0)
    assert not list((tmp_path / "out").iterdir())


def _run(line: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "steelyard.compress"]
    return subprocess.run(command, input=line, capture_output=True, text=True, check=False, **options)


def test_the_pipe_carries_events_only_and_the_exit_code_tells(tmp_path: Path) -> None:
    calibration = tmp_path / "calibration.npz"
    calibration.write_bytes(packed_samples())
    talker = tmp_path / "talker.py"
    talker.write_text("print('loudly')\nSTEELYARD_PLUGIN = {'steps': []}\n", encoding="utf-8")
    request = CompressionRequest(
        model_path=str(conv_model(tmp_path / "m.onnx")),
        recipe_toml=load_recipe("static-int8").to_toml(),
        out_dir=str(tmp_path / "out"),
        calibration_path=str(calibration),
        plugin_paths=(str(talker),),
    )
    done = _run(request.to_line())
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, events[-1]["event"]) == (0, "result")
    assert {event["event"] for event in events[:-1]} == {"progress", "step"}
    assert "loudly" in done.stderr


def test_a_request_that_is_none_fails_with_a_reason() -> None:
    done = _run("{]\n")
    event = json.loads(done.stdout)
    assert (event["event"], event["reason"], done.returncode) == ("failure", "invalid_request", 4)


def test_a_bug_is_reported_as_one(tmp_path: Path) -> None:
    request = CompressionRequest(
        model_path=str(linear_model(tmp_path / "m.onnx")),
        recipe_toml=load_recipe("float16").to_toml(),
        out_dir=str(tmp_path / "out"),
        reported=ScoringFiles(split="evaluation", inputs_path=str(tmp_path / "nothing.npz"), metric="top1"),
    )
    done = _run(request.to_line())
    event = json.loads(done.stdout)
    assert (event["reason"], event["exit_code"], done.returncode) == ("internal", 70, 70)
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("error", ["MemoryError()", 'RuntimeError("DefaultCPUAllocator: can\'t allocate memory")'])
def test_a_lack_of_memory_is_no_bug(error: str) -> None:
    program = (
        "import sys\nfrom steelyard.compress import __main__ as child\n"
        f"def serve(line, emit):\n    raise {error}\n"
        "child._serve = serve\nsys.exit(child.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input="{}\n", capture_output=True, text=True, timeout=120)
    event = json.loads(done.stdout)
    assert (event["reason"], event["exit_code"], done.returncode) == ("out_of_memory", 4, 4)
    assert "goes on behind what is done" in event["message"]


def test_requests_survive_their_line_and_unknown_keys_do_not() -> None:
    request = CompressionRequest(
        model_path="m",
        recipe_toml="a\nb",
        out_dir="o",
        seed=3,
        processor_features=("avx2", "avx512f"),
        reported=ScoringFiles(split="evaluation", inputs_path="i", metric="top1"),
        finished=(("step.onnx", json_format.MessageToJson(control_pb2.LineageStep(kind="equalize"))),),
        known_scores=(("a" * 64, json_format.MessageToJson(control_pb2.StepEvaluation(metric="top1", value=0.5))),),
    )
    parsed = parse_request(request.to_line())
    assert parsed == request
    assert parsed.scores() == {"a" * 64: control_pb2.StepEvaluation(metric="top1", value=0.5)}
    (done,) = parsed.finished_steps()
    assert (done.path, done.message.kind) == (Path("step.onnx"), "equalize")
    for line in ("[]", '{"model": 1}', ""):
        with pytest.raises(SteelyardError, match="one line of JSON"):
            parse_request(line)


def test_a_terminated_process_ends_by_its_signal(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "steelyard.compress"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    request = CompressionRequest(
        model_path=str(endless_model(tmp_path / "m.onnx")),
        recipe_toml=load_recipe("float16").to_toml(),
        out_dir=str(tmp_path / "out"),
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request.to_line())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["event"] == "progress"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
