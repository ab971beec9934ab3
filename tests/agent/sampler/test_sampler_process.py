"""The real process over a fake tree; no test waits for a time, only for events."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from steelyard_agent.meters.power import find_power_sources
from steelyard_agent.sampler import process as process_module
from steelyard_agent.sampler.process import SamplerError, start_sampler
from steelyard_agent.sampler.protocol import SamplerOrder, encode_order
from steelyard_agent.sampler.reading import energy_reading
from tests.support.fake_sysfs import load_tree


@pytest.fixture
def tree(tmp_path):
    return load_tree("n100", tmp_path)


@pytest.fixture
def sources(tree):
    return find_power_sources(tree.system).sources


async def test_it_samples_until_stopped_and_sees_past_the_windows_edges(tree, sources):
    sampler = await start_sampler(tree.root, sources, period_ms=2)
    start_ns = time.perf_counter_ns()
    tree.write("/sys/class/powercap/intel-rapl:0/energy_uj", "142857642857")
    end_ns = time.perf_counter_ns()
    recording = await sampler.stop()
    assert recording.sources == sources
    assert recording.note == ""
    first, last = recording.samples[0][0], recording.samples[0][-1]
    assert first.time_ns <= start_ns < end_ns <= last.time_ns
    assert (first.value, last.value) == (142857142857, 142857642857)
    assert recording.period_ns == 2_000_000
    again = await sampler.stop()
    assert again == recording


async def test_its_recording_becomes_readings(tree, sources):
    sampler = await start_sampler(tree.root, sources[:1], period_ms=1)
    start_ns = time.perf_counter_ns()
    tree.write("/sys/class/powercap/intel-rapl:0/energy_uj", "142857142957")
    end_ns = time.perf_counter_ns()
    readings = energy_reading(
        window_start_ns=start_ns, window_end_ns=end_ns, inference_count=10, recording=await sampler.stop()
    )
    assert readings
    assert all(reading.value is not None or reading.reason for reading in readings)


async def test_without_sources_no_process_is_started(tree):
    sampler = await start_sampler(tree.root, ())
    assert sampler.pid is None
    assert (await sampler.stop()).samples == ()


async def test_a_sampler_that_was_killed_is_noted(tree, sources):
    sampler = await start_sampler(tree.root, sources)
    os.kill(sampler.pid, signal.SIGKILL)
    await sampler._process.wait()
    recording = await sampler.stop()
    assert recording.note == "the sampler ended early with status -9"


async def test_a_sampler_ends_cleanly_on_term(tree, sources):
    sampler = await start_sampler(tree.root, sources)
    os.kill(sampler.pid, signal.SIGTERM)
    assert await sampler._process.wait() == 0
    assert (await sampler.stop()).samples[0]


async def test_a_sampler_that_does_not_end_is_killed(tree, sources, monkeypatch):
    monkeypatch.setattr(process_module, "_STOP_TIMEOUT_S", 0.01)
    sampler = await start_sampler(tree.root, sources)
    os.kill(sampler.pid, signal.SIGSTOP)
    await sampler.stop()
    assert sampler._process.returncode == -signal.SIGKILL


async def test_cores_that_are_measured_are_left_alone(tree, sources):
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        sampler = await start_sampler(tree.root, sources, avoid_core_ids=(0,))
    else:
        measured = min(os.sched_getaffinity(0))
        sampler = await start_sampler(tree.root, sources, avoid_core_ids=(measured,))
        assert measured not in os.sched_getaffinity(sampler.pid)
    assert (await sampler.stop()).samples[0]


async def test_a_python_that_is_no_sampler_is_reported(tree, sources, monkeypatch):
    monkeypatch.setattr(process_module.sys, "executable", "/bin/echo")
    with pytest.raises(SamplerError, match="the sampler answered") as caught:
        await start_sampler(tree.root, sources)
    assert caught.value.reason == "sampler_failed"


async def test_a_silent_sampler_is_given_up(tree, sources, monkeypatch, tmp_path):
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nread order\nread never\n")
    silent.chmod(0o755)
    monkeypatch.setattr(process_module.sys, "executable", str(silent))
    monkeypatch.setattr(process_module, "_READY_TIMEOUT_S", 0.01)
    with pytest.raises(SamplerError, match=r"said nothing for 0\.01 s"):
        await start_sampler(tree.root, sources)


async def test_cancelling_the_start_leaves_no_process(tree, sources, monkeypatch, tmp_path):
    silent = tmp_path / "silent"
    marker = tmp_path / "pid"
    silent.write_text(f"#!/bin/sh\nread order\necho $$ > {marker}.new && mv {marker}.new {marker}\nread never\n")
    silent.chmod(0o755)
    monkeypatch.setattr(process_module.sys, "executable", str(silent))
    starting = asyncio.create_task(start_sampler(tree.root, sources))
    while not marker.exists():
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)


def test_it_dies_with_its_parent(tree, sources):
    """The parent's end of the pipe is all that keeps it alive: closing it is what a killed parent does."""
    order = encode_order(SamplerOrder(system_root=str(tree.root), sources=sources, period_ms=5))
    with subprocess.Popen(
        [sys.executable, "-m", "steelyard_agent.sampler"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdin.write(order.encode() + b"\n")
        child.stdin.flush()
        assert b"ready" in child.stdout.readline()
        child.stdin.close()
        assert child.wait(timeout=60) == 0


def test_it_ends_when_nobody_listens(tree, sources):
    order = encode_order(SamplerOrder(system_root=str(tree.root), sources=sources, period_ms=1))
    with subprocess.Popen(
        [sys.executable, "-m", "steelyard_agent.sampler"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdin.write(order.encode() + b"\n")
        child.stdin.flush()
        assert b"ready" in child.stdout.readline()
        child.stdout.close()
        assert child.wait(timeout=60) == 0


def test_an_order_that_makes_no_sense_ends_it_with_a_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "steelyard_agent.sampler"], input="{}\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "not a sampler order" in done.stderr
