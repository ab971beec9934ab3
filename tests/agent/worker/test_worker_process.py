"""The worker as a process: what it imports, what it prints, how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard_agent.worker.birth import LAUNCH_VARIABLE, SUPERVISOR_VARIABLE
from tests.support import models

_ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in (LAUNCH_VARIABLE, SUPERVISOR_VARIABLE)}


def _work(block: object, **environment: str) -> tuple[list[dict], subprocess.CompletedProcess[str]]:
    text = block if isinstance(block, str) else json.dumps(block) + "\n"
    process = subprocess.run(
        [sys.executable, "-m", "steelyard_agent.worker"],
        input=text,
        capture_output=True,
        text=True,
        env={**_ENVIRONMENT, **environment},
        timeout=120,
    )
    return [json.loads(line) for line in process.stdout.splitlines()], process


def _block(path: Path | str = "", kind: str = "latency", **changes: object) -> dict[str, object]:
    quick = {"sample_window_ms": 5, "warmup_window_ms": 1, "warmup_cap_ms": 5}
    return {
        "protocol": 1,
        "kind": kind,
        "runtime_name": "onnxruntime",
        "model_path": str(path),
        "timing": quick,
        **changes,
    }


def _imports_after(statements: str) -> set[str]:
    script = f"import sys\n{statements}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return set(output.split())


def test_the_worker_imports_no_grpc_no_protobuf_and_no_psutil(tmp_path: Path) -> None:
    model = models.linear_model(tmp_path / "m.onnx")
    imported = _imports_after(
        "from steelyard_agent.worker import __main__\n"
        "from steelyard_agent.worker.block import Block, Timing\n"
        "from steelyard_agent.worker.blocks import run_block\n"
        "from steelyard_agent.worker.opening import open_runtime\n"
        "timing = Timing(sample_window_ms=1, warmup_window_ms=1, warmup_cap_ms=1)\n"
        f"block = Block(kind='latency', runtime_name='onnxruntime', model_path={str(model)!r}, timing=timing)\n"
        "assert run_block(open_runtime(block, lambda phase: None)).sample_count"
    )
    assert "numpy" in imported
    assert not imported & {"grpc", "google", "psutil", "steelyard_protocol", "steelyard", "onnx"}


def test_the_worker_begins_with_the_standard_library_only() -> None:
    assert "numpy" not in _imports_after("import steelyard_agent.worker.__main__")


def test_the_supervisor_imports_no_numpy_and_no_runtime() -> None:
    imported = _imports_after(
        "import steelyard_agent.block_runner, steelyard_agent.standalone, steelyard_agent.memory_watch\n"
        "from pathlib import Path\n"
        "from steelyard_agent.runtimes.lookup import runtime_name_for_file\n"
        "runtime_name_for_file(Path('m.tflite'))"
    )
    assert not imported & {"numpy", "onnxruntime", "ai_edge_litert", "grpc", "google"}


def test_a_block_is_answered_with_phases_and_one_result(tmp_path: Path) -> None:
    events, process = _work(_block(models.linear_model(tmp_path / "m.onnx")))
    assert [event.get("phase") for event in events] == ["imported", "loaded", "first_run", "steady", None]
    assert events[-1]["event"] == "result"
    assert events[-1]["result"]["process_start_ns"] is None
    assert process.returncode == 0


def test_the_launch_time_gives_the_process_start() -> None:
    events, _ = _work(_block(kind="probe"), **{LAUNCH_VARIABLE: "1"})
    assert events[-1]["result"]["process_start_ns"] > 0


def test_a_failure_is_an_event_and_a_clean_end(tmp_path: Path) -> None:
    events, process = _work(_block(tmp_path / "gone.onnx"))
    assert (events[-1]["event"], events[-1]["status"], events[-1]["reason"]) == (
        "failure",
        "USER_ERROR",
        "no_such_model",
    )
    assert process.returncode == 0


@pytest.mark.parametrize("text", ["", "no json\n", '{"protocol": 1', "{}\n"])
def test_what_is_no_block_is_answered_as_internal(text: str) -> None:
    events, _ = _work(text)
    assert (events[0]["status"], events[0]["reason"]) == ("INTERNAL", "bad_block")


def test_what_native_code_prints_does_not_reach_the_answer(tmp_path: Path) -> None:
    plugin = tmp_path / "noisy.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1.0\n")
    (plugin / "entry_points.txt").write_text("[steelyard_agent.runtimes]\nnoisy = noisy_runtime:Noisy\n")
    (tmp_path / "noisy_runtime.py").write_text(
        "import os\n"
        'os.write(1, b\'{"event": "hello"}\\n\')\n'
        "class Noisy:\n"
        "    def version(self):\n"
        "        print('1.0 it is')\n"
        "        return '1.0'\n"
        "    def probe(self):\n"
        "        return ()\n"
    )
    events, process = _work(_block(kind="probe", runtime_name="noisy"), PYTHONPATH=str(tmp_path))
    assert [event["event"] for event in events] == ["phase", "result"]
    assert '{"event": "hello"}' in process.stderr
    assert "1.0 it is" in process.stderr


def test_a_worker_whose_supervisor_died_ends_before_it_reads() -> None:
    events, process = _work(_block(kind="probe"), **{SUPERVISOR_VARIABLE: "999999999"})
    assert events == []
    assert "the supervisor 999999999 is gone" in process.stderr
    assert process.returncode != 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_has_a_status_of_its_own(tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "d.npz", **{"x.values": np.ones((4, 4), np.float32)})
    # The outputs are written under a temporary name: that name leads to the device that is always full.
    (tmp_path / "o.npz.partial").symlink_to("/dev/full")
    block = _block(
        models.linear_model(tmp_path / "m.onnx"),
        "evaluation",
        data_path=str(tmp_path / "d.npz"),
        output_path=str(tmp_path / "o.npz"),
    )
    events, _ = _work(block)
    assert (events[-1]["event"], events[-1]["status"]) == ("failure", "DISK_FULL")
    assert not (tmp_path / "o.npz").exists()
