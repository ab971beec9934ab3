from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from steelyard_agent.commands import CommandAnswer
from steelyard_agent.meters.power import find_power_sources
from steelyard_agent.sampler.loop import run_loop
from steelyard_agent.sampler.protocol import READY_LINE, SamplerOrder, decode_sample
from tests.support.fake_sysfs import load_tree

COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"


def run(tree, turns, *, jitter=True, period_ms=20, on_turn=lambda turn: None):
    """Run the loop with a clock that moves by what the loop waits for; returns batches and waits."""
    order = SamplerOrder(
        system_root=str(tree.root),
        sources=find_power_sources(tree.system).sources[:1],
        period_ms=period_ms,
        jitter=jitter,
    )
    batches, waits = [], []

    def wait_for_stop(seconds):
        waits.append(seconds)
        tree.clock.now_ns += round(seconds * 1e9)
        on_turn(len(waits))
        return len(waits) >= turns

    run_loop(
        order,
        system=tree.system,
        wait_for_stop=wait_for_stop,
        emit=batches.append,
        rng=Random(1),
    )
    return batches, waits


def test_the_first_batch_says_ready_and_holds_the_first_reads(tmp_path):
    batches, _ = run(load_tree("n100", tmp_path), 1)
    ready, first = batches[0].splitlines()
    assert ready == READY_LINE
    assert decode_sample(first).raw == 142857142857


def test_one_more_read_follows_the_order_to_stop(tmp_path):
    batches, waits = run(load_tree("n100", tmp_path), 5)
    samples = [decode_sample(line) for batch in batches for line in batch.splitlines() if line != READY_LINE]
    assert len(samples) == len(waits) + 1


def test_lines_are_handed_over_about_once_a_second(tmp_path):
    batches, _ = run(load_tree("n100", tmp_path), 250)
    assert len(batches) == 1 + 4 + 1, "ready, then one a second for five seconds, then the rest"


def test_intervals_vary_around_the_period(tmp_path):
    _, waits = run(load_tree("n100", tmp_path), 40)
    assert {round(wait / 0.02, 3) for wait in waits} == {0.65, 1.567}
    assert sum(waits) / len(waits) == pytest.approx(0.02, rel=0.02)
    _, waits = run(load_tree("n100", tmp_path / "b"), 4, jitter=False)
    assert {round(wait, 6) for wait in waits} == {0.02}


def test_a_source_that_bears_less_is_read_less_often_and_does_not_hold_up_the_others(tmp_path):
    tree = load_tree("n100", tmp_path)
    fast, slow = find_power_sources(tree.system).sources[:2]
    order = SamplerOrder(
        system_root=str(tree.root), sources=(fast, replace(slow, least_period_s=0.1)), period_ms=20, jitter=False
    )
    batches, until_ns = [], tree.clock.now_ns + 2_000_000_000

    def wait_for_stop(seconds):
        tree.clock.now_ns += round(seconds * 1e9)
        return tree.clock.now_ns >= until_ns

    run_loop(order, system=tree.system, wait_for_stop=wait_for_stop, emit=batches.append, rng=Random(1))
    samples = [decode_sample(line) for line in "".join(batches).splitlines() if line != READY_LINE]
    times = {index: [s.time_ns for s in samples if s.source_index == index] for index in (0, 1)}
    assert {b - a for a, b in pairwise(times[0])} == {20_000_000}
    assert {b - a for a, b in pairwise(times[1])} == {100_000_000}


def test_a_program_that_hangs_does_not_hold_up_the_files(tmp_path):
    tree = load_tree("raspberry_pi_5", tmp_path)
    pmic = find_power_sources(tree.system).sources[0]
    files = find_power_sources(load_tree("n100", tmp_path / "b").system).sources[0]
    tree.write(files.addresses[0], "7")
    asked, released = threading.Semaphore(0), threading.Event()

    def run_command(command):
        asked.release()
        released.wait()
        return CommandAnswer(output=tree.commands[" ".join(command)])

    released.set()
    order = SamplerOrder(
        system_root=str(tree.root), sources=(replace(pmic, least_period_s=0.001), files), period_ms=1, jitter=False
    )
    batches, turns, before = [], [], set(threading.enumerate())

    def wait_for_stop(seconds):
        turns.append(seconds)
        if len(turns) == 1:
            # The program was asked before the loop began; from now on it hangs.
            released.clear()
            asked.acquire()
            asked.acquire()
        tree.clock.now_ns += round(seconds * 1e9)
        if len(turns) == 20:
            released.set()
        return len(turns) >= 20

    system = replace(tree.system, run_command=run_command)
    run_loop(order, system=system, wait_for_stop=wait_for_stop, emit=batches.append, rng=Random(1))
    samples = [decode_sample(line) for line in "".join(batches).splitlines() if line != READY_LINE]
    assert sum(sample.source_index == 1 for sample in samples) == 21
    assert all(sample.raw for sample in samples if sample.source_index == 0)
    assert set(threading.enumerate()) <= before


def test_samples_are_stamped_in_the_middle_of_the_read(tmp_path):
    tree = load_tree("n100", tmp_path)
    tree.clock.step_ns = 1000
    before = tree.clock.now_ns
    batches, _ = run(tree, 1)
    sample = decode_sample(batches[0].splitlines()[1])
    assert sample.time_ns == before + 1500


def test_a_read_that_fails_is_told_and_the_next_one_is_tried(tmp_path):
    tree = load_tree("n100", tmp_path)
    texts = {1: "", 2: "7"}
    batches, _ = run(tree, 2, on_turn=lambda turn: tree.write(COUNTER, texts[turn]))
    samples = [decode_sample(line) for batch in batches for line in batch.splitlines() if line != READY_LINE]
    assert [sample.raw for sample in samples] == [142857142857, None, 7]
    assert "energy_uj is empty" in samples[1].reason
