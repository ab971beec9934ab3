"""A real busy process on the core of the measured one: what it takes is seen, told, and never averaged in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from steelyard.control.client import Client
from steelyard.control.gate_plan import GateOptions
from steelyard.control.job_handle import JobHandle
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import SteelyardError
from steelyard_agent.validity.judging import MOST_CONTENTION
from steelyard_protocol.v1 import control_pb2, result_pb2

Write = Callable[..., Path]
# Ends by itself, whatever becomes of the test.
_NEIGHBOUR = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
print("busy", flush=True)
end = time.monotonic() + 120
while time.monotonic() < end:
    pass
"""
pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes are pinned on Linux only")


def load_of(core: int) -> float:
    """Return the share of a second in which a core is busy."""
    return psutil.cpu_percent(interval=1.0, percpu=True)[core] / 100


@contextmanager
def neighbour(core: int) -> Iterator[None]:
    # In a session of its own: Linux shares a core between sessions, and other tests would take from its part.
    process = subprocess.Popen(
        [sys.executable, "-c", _NEIGHBOUR, str(core)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"busy\n"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def measured_on(client: Client, path: Path, core: int, gate: GateOptions) -> JobHandle:
    options = MeasurementOptions(min_round_count=3, max_round_count=3, cores=(core,), gate=gate)
    return client.measure([client.add_model(path)], options=options)


def blocks_of(client: Client, job_id: str) -> list[result_pb2.BlockResult]:
    return [block for one in client.rounds(job_id) if one.pass_kind == result_pb2.PASS_LATENCY for block in one.blocks]


def test_rounds_beside_a_neighbour_on_the_same_core_are_contended_and_the_job_is_invalid(
    client: Client, model: Write
) -> None:
    core = min(os.sched_getaffinity(0))
    with neighbour(core):
        handle = measured_on(client, model(), core, GateOptions(wanted=False))
        with pytest.raises(SteelyardError, match=r"no round was valid: .*ready but not running for"):
            handle.wait()
    assert client.job(handle.job_id).state == control_pb2.JOB_STATE_INVALID
    blocks = blocks_of(client, handle.job_id)
    # More than half as many again as allowed, and at least three, were tried.
    assert len(blocks) > 3
    for block in blocks:
        assert block.status == result_pb2.BLOCK_STATUS_NOT_VALID
        assert block.validity.verdict == result_pb2.VALIDITY_VERDICT_CONTENDED
        # One neighbour takes half in the long run; in a window of 200 ms the scheduler gave it a fifth now and then.
        assert block.validity.run_delay_ns > 2 * MOST_CONTENTION * block.window_ns
        assert len(block.latency_ns) > 0, "the samples are kept"
    variant = handle.measurement().variants[0]
    assert not variant.p50_latency.HasField("value")
    assert [(one.verdict, one.block_count) for one in variant.validity] == [
        (result_pb2.VALIDITY_VERDICT_CONTENDED, len(blocks))
    ]


def test_without_a_neighbour_of_ours_each_verdict_follows_from_what_the_kernel_counted(
    client: Client, model: Write
) -> None:
    core = min(os.sched_getaffinity(0), key=load_of)
    handle = measured_on(client, model(), core, GateOptions(wanted=False))
    with suppress(SteelyardError):
        # On a machine that others keep busy no round may be valid, and that is told in the same way.
        handle.wait()
    blocks = blocks_of(client, handle.job_id)
    valid = [one for one in blocks if one.validity.verdict == result_pb2.VALIDITY_VERDICT_VALID]
    for block in blocks:
        seen = block.validity
        assert seen.HasField("run_delay_ns"), "the kernel of this machine tells it"
        assert (block.status == result_pb2.BLOCK_STATUS_OK) == (block in valid) == (not seen.evidence)
        if block not in valid:
            # Nothing is refused that was not taken from it: what is not valid has lost a time slice or a disk read.
            lost_ns = max(seen.run_delay_ns, seen.steal_ns)
            assert lost_ns > MOST_CONTENTION * block.window_ns or "page fault" in seen.evidence[0]
            assert len(block.latency_ns) > 0, "the samples are kept"
    kept, left_out = len(valid), len(blocks) - len(valid)
    measurement = handle.measurement()
    assert (measurement.round_count, measurement.repeated_round_count) == (min(kept, 3), left_out)
    assert measurement.variants[0].p50_latency.HasField("value") == (kept > 0)


def test_a_block_waits_for_its_neighbour_to_go_and_says_so(client: Client, model: Write) -> None:
    core = min(os.sched_getaffinity(0))
    gate = GateOptions(wait_s=2.0, max_other_load=0.0)
    begun_s = time.monotonic()
    with neighbour(core):
        handle = measured_on(client, model(), core, gate)
        with pytest.raises(SteelyardError, match=r"not begun after \d+ s of waiting: others keep .* cores busy"):
            handle.wait()
    assert client.job(handle.job_id).state == control_pb2.JOB_STATE_INVALID
    assert time.monotonic() - begun_s >= 3 * 2.0, "three rounds waited"
    events = client.events(handle.job_id, wait_s=0.0).events
    waiting = [event for event in events if event.state == control_pb2.JOB_STATE_GATING]
    assert any(event.message.startswith("waiting: others keep ") for event in waiting)
    blocks = blocks_of(client, handle.job_id)
    assert {one.validity.verdict for one in blocks} == {result_pb2.VALIDITY_VERDICT_INCOMPLETE}
    assert all(one.validity.waited_ms >= 2000 for one in blocks)
