"""Processes that die in the middle: nothing is lost, nothing is counted twice, the next job runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.control.job_handle import JobHandle
from steelyard.control.plans import MeasurementOptions
from steelyard.settings import Settings
from steelyard_protocol.v1 import control_pb2, result_pb2
from tests.support.anywhere import ANYWHERE
from tests.support.processes import children_running, wait_for_a_new_one, wait_until

Write = Callable[..., Path]
WORKER = "steelyard_agent.worker"
AGENT = "steelyard_agent"


def start(client: Client, path: Path, rounds: int = 5) -> JobHandle:
    # The timed rounds alone are counted below.
    settings = {"min_round_count": rounds, "max_round_count": rounds, "sample_window_ms": 200, "numeric_check": False}
    options = MeasurementOptions(gate=ANYWHERE, **settings)
    return client.measure([client.add_model(path)], options=options)


def wait_for_rounds(client: Client, job_id: str, count: int) -> None:
    wait_until(lambda: len(list(client.rounds(job_id))) >= count)


def test_a_worker_killed_from_outside_ends_its_block_only(client: Client, model: Write) -> None:
    handle = start(client, model())
    wait_for_rounds(client, handle.job_id, 1)
    wait_for_a_new_one(lambda: children_running(WORKER)).kill()
    handle.wait()
    blocks = [block for one in client.rounds(handle.job_id) for block in one.blocks]
    statuses = [block.status for block in blocks]
    assert statuses.count(result_pb2.BLOCK_STATUS_KILLED_UNKNOWN) == 1
    assert statuses.count(result_pb2.BLOCK_STATUS_OK) == 4
    variant = handle.measurement().variants[0]
    assert variant.failed_block_count == 1
    assert variant.p50_latency.observation_count == 4


def test_an_agent_killed_in_the_middle_of_a_round_resumes_without_loss_or_repeat(client: Client, model: Write) -> None:
    handle = start(client, model(), rounds=6)
    wait_for_rounds(client, handle.job_id, 2)
    wait_until(lambda: children_running(WORKER))
    (agent,) = children_running(AGENT)
    workers = children_running(WORKER)
    agent.send_signal(signal.SIGKILL)
    handle.wait()
    rounds = list(client.rounds(handle.job_id))
    assert [one.round_index for one in rounds] == list(range(6))
    segments = [one.segment for one in rounds]
    assert segments == sorted(segments)
    assert segments[0] == 0
    assert segments[-1] == 1
    assert handle.measurement().segment_count == 2
    wait_until(lambda: not any(worker.is_running() for worker in workers))


def test_a_controller_that_ends_leaves_no_agent_and_its_successor_has_the_rounds(
    settings: Settings, model: Write
) -> None:
    with connect(settings=settings) as client:
        handle = start(client, model(), rounds=3)
        handle.wait()
        (agent,) = children_running(AGENT)
    wait_until(lambda: not agent.is_running())
    with connect(settings=settings) as successor:
        assert successor.job(handle.job_id).state == control_pb2.JOB_STATE_RECORDED
        assert len(list(successor.rounds(handle.job_id))) == 3


def test_a_cancelled_job_keeps_its_rounds_and_frees_the_device(client: Client, model: Write) -> None:
    path = model()
    handle = start(client, path, rounds=40)
    wait_for_rounds(client, handle.job_id, 1)
    assert handle.cancel().state == control_pb2.JOB_STATE_CANCELLED
    kept = len(list(client.rounds(handle.job_id)))
    assert kept >= 1
    wait_until(lambda: not children_running(WORKER))
    after = start(client, path, rounds=3)
    assert after.wait().state == control_pb2.JOB_STATE_RECORDED


def test_a_killed_controller_takes_its_local_agent_with_it(tmp_path: Path, model: Write) -> None:
    import subprocess
    import sys

    script = (
        "import sys, os, time\n"
        "from pathlib import Path\n"
        "from steelyard.control.connect import connect\n"
        "from steelyard.control.gate_plan import GateOptions\n"
        "from steelyard.control.plans import MeasurementOptions\n"
        "from steelyard.settings import Settings\n"
        "client = connect(settings=Settings(state_directory=Path(sys.argv[1]), agent_listen='127.0.0.1:0'))\n"
        "options = MeasurementOptions(max_round_count=40, gate=GateOptions(wanted=False))\n"
        "client.measure([client.add_model(sys.argv[2])], options=options).job_id\n"
        "time.sleep(600)\n"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path / "state"), str(model())]
    with subprocess.Popen(arguments) as process:
        try:
            wait_until(lambda: children_running(AGENT, process.pid) and children_running(WORKER, process.pid))
            family = children_running(AGENT, process.pid) + children_running(WORKER, process.pid)
        finally:
            os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not any(one.is_running() for one in family))
