"""The command as people use it: a process of its own, real workers, real gRPC."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from steelyard_agent import __version__
from steelyard_agent.cli import arguments as arguments_module
from steelyard_agent.cli import main
from steelyard_agent.cli.arguments import build_parser
from steelyard_agent.cli.measure_arguments import parse_shape
from steelyard_agent.errors import AgentError
from steelyard_protocol.v1 import result_pb2
from steelyard_protocol.v1.plan_pb2 import Plan
from steelyard_protocol.v1.session_pb2 import JobOffer, LeaseRelease, RoundGrant
from tests.agent.jobs.fakes import plan_of
from tests.support.fake_controller import FakeController
from tests.support.models import linear_model

COMMAND = [sys.executable, "-m", "steelyard_agent"]


def run_command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False, env=environment
    )


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"steelyard-agent {__version__}\n"


@pytest.mark.parametrize("command", ["run", "doctor", "measure", "environment"])
def test_every_command_has_help_with_examples_that_parse(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    examples = [line.split()[1:] for line in lines if line.startswith(f"steelyard-agent {command} ")]
    examples += [[command]] if f"steelyard-agent {command}" in lines else []
    assert len(examples) >= 2
    for example in examples:
        assert callable(build_parser().parse_args(example).command)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["measure"],
        ["measure", "m.onnx", "--rounds", "0"],
        ["measure", "m.onnx", "--shape", "x"],
        ["measure", "m.onnx", "--shape", "x=1x-2"],
        ["measure", "m.onnx", "--shape", "=1"],
        ["measure", "m.onnx", "--mode", "fast"],
        ["measure", "m.onnx", "--batch", "0"],
        ["measure", "m.onnx", "--steps", "1,x"],
        ["measure", "m.onnx", "--state", "h"],
        ["measure", "m.onnx", "--duration", "2y"],
        ["measure", "m.onnx", "--block-timeout", "nan"],
        ["measure", "m.onnx", "--block-timeout", "soon"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_shape_is_read_up_to_the_last_equals_sign() -> None:
    assert parse_shape("a=b=1x3x224x224") == ("a=b", (1, 3, 224, 224))


def test_a_controller_elsewhere_is_refused_with_the_way_to_reach_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = main(["run", "--controller", "10.0.0.7:7433", "--state-directory", str(tmp_path / "state")])
    assert status == 2
    assert "ssh -R 7433:127.0.0.1:7433 USER@DEVICE" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def raising(error: BaseException) -> Any:
    class Parser:
        def parse_args(self, arguments: object) -> Any:
            return type("Options", (), {"verbose": False, "log_format": "text", "command": staticmethod(self.command)})

        def command(self, options: object) -> int:
            raise error

    return Parser


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (AgentError("x", "a sentence"), 4, "steelyard-agent: a sentence\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("ours"), 70, "a bug of ours (ZeroDivisionError: ours); a report is in"),
    ],
)
def test_every_end_has_its_status(
    error: BaseException,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(arguments_module, "build_parser", raising(error))
    assert main([]) == status
    assert said in capsys.readouterr().err
    reports = list(tmp_path.rglob("*.txt"))
    assert len(reports) == (1 if status == 70 else 0)
    if reports:
        assert "ZeroDivisionError: ours" in reports[0].read_text()


def test_a_crash_report_that_cannot_be_written_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "file" / "x"))
    monkeypatch.setattr(arguments_module, "build_parser", raising(ZeroDivisionError("ours")))
    assert main([]) == 70
    assert "no report could be written" in capsys.readouterr().err


def test_measure_prints_json_on_standard_output_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linear_model(tmp_path / "model.onnx")
    arguments = ["measure", str(tmp_path / "model.onnx"), "--rounds", "2", "--threads", "1", "--no-spinning", "--json"]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["schema_version"] == 1
    assert len(report["launches"]) == 2
    assert printed.err == ""


def test_measure_prints_lines_for_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    linear_model(tmp_path / "model.onnx")
    assert main(["measure", str(tmp_path / "model.onnx"), "--rounds", "1", "--memory-limit", "1000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("model.onnx")
    assert max(len(line) for line in lines) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["measure", "missing.onnx"], "there is no model file 'missing.onnx'"),
        (["measure", "missing.onnx", "--shape", "x=1", "--shape", "x=2"], "names input 'x' twice"),
        (["measure", "missing.onnx", "--mode", "paced"], "--mode paced: --rate is 0; it is above 0"),
        (["measure", "missing.onnx", "--rate", "20"], "--rate is given and the mode is single-stream"),
        (["measure", "missing.onnx", "--mode", "paced", "--rate", "0.001"], "10 arrivals at --rate 0.001 take 10000 s"),
        (
            ["measure", "missing.onnx", "--mode", "multi-stream", "--streams", "1000"],
            "--streams is 1000; it is between",
        ),
        (["measure", "missing.onnx", "--mode", "stepwise", "--steps", "4,2", "--state", "h=hn"], "4, 2 do not rise"),
        (["measure", "missing.onnx", "--state", "h=a", "--state", "h=b"], "--state names input 'h' twice"),
    ],
)
def test_measure_says_what_is_wrong_in_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_mode_is_asked_for_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(linear_model(tmp_path / "model.onnx"))
    assert main(["measure", model, "--rounds", "1", "--threads", "1", "--mode", "offline", "--batch", "8"]) == 0
    assert "samples a second, batches of 8" in capsys.readouterr().out
    curve = ["--mode", "sustained", "--duration", "400ms", "--point", "100ms", "--json"]
    assert main(["measure", model, "--threads", "1", *curve]) == 0
    # A curve is minutes long: one launch where nothing else is said.
    (launch,) = json.loads(capsys.readouterr().out)["launches"]
    assert len(launch["mode_figures"]["curve"]) >= 2


def test_doctor_names_every_runtime_and_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "onnxruntime" in text
    assert "CPUExecutionProvider" in text
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {runtime["name"] for runtime in found["device"]["runtimes"]} >= {"onnxruntime", "litert"}


class AgentProcess:
    """``steelyard-agent run`` as a process; its standard error is kept in a file."""

    def __init__(self, folder: Path, controller: FakeController) -> None:
        self.log = folder / "agent.log"
        self.state = folder / "state"
        self._arguments = ["--controller", controller.address, "--name", "bench", "--state-directory", str(self.state)]
        self.process: asyncio.subprocess.Process

    async def start(self, *command: str) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(command or (*COMMAND, "run")), *self._arguments, stdout=log, stderr=log
            )

    async def end(self, number: signal.Signals) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()


@pytest.fixture
async def controller() -> AsyncIterator[FakeController]:
    made = FakeController()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def agent(tmp_path: Path, controller: FakeController) -> AsyncIterator[AgentProcess]:
    made = AgentProcess(tmp_path, controller)
    await made.start()
    yield made
    await made.end(signal.SIGKILL)


def linear_plan(folder: Path, controller: FakeController) -> Plan:
    linear_model(folder / "model.onnx")
    content = (folder / "model.onnx").read_bytes()
    controller.add_blob(content)
    plan = plan_of(content, content)
    # Whatever else keeps this machine busy.
    plan.timing.most_contention = 1.0
    plan.timing.sample_window_ms, plan.timing.warmup_window_ms, plan.timing.warmup_cap_ms = 20, 5, 100
    for artifact in plan.artifacts:
        artifact.runtime.intra_op_thread_count = 1
    return plan


def grant(first: int, count: int, epoch: int) -> RoundGrant:
    return RoundGrant(
        job_id="job",
        attempt=1,
        epoch=epoch,
        pass_kind=result_pb2.PASS_LATENCY,
        first_round=first,
        round_count=count,
    )


async def test_a_real_model_is_measured_by_a_real_agent_that_ends_when_it_is_told(
    tmp_path: Path, controller: FakeController, agent: AgentProcess
) -> None:
    hello = await controller.wait_for("hello")
    assert hello.device.name == "bench"
    assert "onnxruntime" in [runtime.name for runtime in hello.device.runtimes]
    controller.say(
        job_offer=JobOffer(job_id="job", attempt=1, plan=linear_plan(tmp_path, controller), lease_ttl_ms=60_000)
    )
    controller.say(round_grant=grant(0, 2, epoch=1))
    await controller.wait_for("grant_finished")
    rounds = controller.rounds()
    assert [[block.label for block in one.blocks] for one in rounds] == [["a", "b"], ["b", "a"]]
    for block in (block for one in rounds for block in one.blocks):
        assert block.status == result_pb2.BLOCK_STATUS_OK, block.error
        assert len(block.latency_ns) >= 10
        assert min(block.latency_ns) > 0
        assert block.HasField("model_load_ns")
        assert block.wall_ns > 0
    controller.say(lease_release=LeaseRelease(job_id="job", attempt=1))
    assert await agent.end(signal.SIGTERM) == 0
    await controller.wait_for("goodbye")
    assert "Traceback" not in agent.log.read_text()


async def test_an_agent_killed_in_the_middle_of_a_round_keeps_the_finished_ones_and_drops_that_one(
    tmp_path: Path, controller: FakeController, agent: AgentProcess
) -> None:
    controller.records = False
    await controller.wait_for("hello")
    plan = linear_plan(tmp_path, controller)
    plan.timing.sample_window_ms = 200
    offer = JobOffer(job_id="job", attempt=1, plan=plan, lease_ttl_ms=60_000)
    controller.say(job_offer=offer)
    controller.say(round_grant=grant(0, 50, epoch=1))
    # The second round has begun: its first block is announced.
    await controller.until(lambda: [one for one in controller.all("job_progress") if one.round_index == 1])
    await agent.end(signal.SIGKILL)
    controller.records = True
    await agent.start()
    hello = await controller.wait_for("hello", 2)
    assert not hello.HasField("lease")
    assert [key.round_index for key in hello.unacknowledged] == [0]
    controller.say(job_offer=offer)
    assert (await controller.until(lambda: controller.all("lease_answer")[1:]))[0].lease.epoch == 2
    controller.say(round_grant=grant(1, 1, epoch=2))
    await controller.wait_for("grant_finished")
    assert sorted({one.round_index for one in controller.rounds()}) == [0, 1]
    assert await agent.end(signal.SIGINT) == 130


async def test_a_second_agent_on_the_same_state_directory_is_refused(
    controller: FakeController, agent: AgentProcess
) -> None:
    await controller.wait_for("hello")
    second = subprocess.run(  # noqa: ASYNC221 (nothing else happens meanwhile)
        [*COMMAND, "run", "--controller", controller.address, "--state-directory", str(agent.state)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 4
    assert f"pid {agent.process.pid}" in second.stderr


IDLE = """
import json, os, sys
from steelyard_agent.cli import main
status = main(["run", *sys.argv[1:]])
heavy = [name for name in sys.modules if name.split(".")[0] in {"numpy", "onnxruntime", "ai_edge_litert", "torch"}]
print("HEAVY " + json.dumps([status, heavy, os.environ["GRPC_ENABLE_FORK_SUPPORT"]]), flush=True)
"""


async def test_an_idle_session_imports_no_numpy_and_no_runtime(tmp_path: Path, controller: FakeController) -> None:
    controller.heartbeat_ms = 50
    agent = AgentProcess(tmp_path, controller)
    await agent.start(sys.executable, "-c", IDLE)
    await controller.wait_for("heartbeat", 3)
    await agent.end(signal.SIGTERM)
    found = re.search(r"^HEAVY (.*)$", agent.log.read_text(), re.MULTILINE)
    assert found is not None, agent.log.read_text()
    assert json.loads(found[1]) == [0, [], "0"]
