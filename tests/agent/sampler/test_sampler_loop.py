from __future__ import annotations

from steelyard_agent.meters.power import find_power_sources
from steelyard_agent.sampler.loop import run_loop
from steelyard_agent.sampler.protocol import READY_LINE, SamplerOrder, decode_sample
from tests.support.fake_sysfs import load_tree

COUNTER = "/sys/class/powercap/intel-rapl:0/energy_uj"


def run(tree, turns, *, jitter=0.5, spreads=(0.0,), period_ms=20, on_turn=lambda turn: None):
    """Run the loop with a clock that moves by what the loop waits for; returns batches and waits."""
    order = SamplerOrder(
        system_root=str(tree.root),
        sources=find_power_sources(tree.system).sources[:1],
        period_ms=period_ms,
        jitter_fraction=jitter,
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
        spread=lambda: spreads[len(waits) % len(spreads)],
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


def test_intervals_are_spread_around_the_period(tmp_path):
    _, waits = run(load_tree("n100", tmp_path), 4, spreads=(-1.0, 1.0))
    assert sorted({round(wait, 6) for wait in waits}) == [0.01, 0.03]
    _, waits = run(load_tree("n100", tmp_path / "b"), 4, spreads=(-1.0, 1.0), jitter=0.0)
    assert {round(wait, 6) for wait in waits} == {0.02}


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
