"""Where a sensor averages, sampling goes on after a window's end until it has told all of the window."""

from __future__ import annotations

import time
from dataclasses import replace

from steelyard_agent.jobs import energy
from steelyard_agent.jobs.energy import SamplerWatch
from steelyard_agent.meters.power import find_power_sources
from steelyard_agent.meters.power_source import FoundSources
from steelyard_agent.worker.block import WorkerResult
from tests.support.fake_sysfs import load_tree


async def test_sampling_outlasts_the_window_by_half_of_the_averaging_time(tmp_path, monkeypatch):
    tree = load_tree("jetson_orin_nano", tmp_path)
    source = replace(find_power_sources(tree.system).sources[0], averaging_s=0.3)
    monkeypatch.setattr(energy, "find_power_sources", lambda _: FoundSources(sources=(source,)))
    watch = SamplerWatch(replace(tree.system, clock_ns=time.perf_counter_ns))
    await watch.start()
    # The window ends now: a sample at this moment stands for 0.15 s ago.
    end_ns = time.perf_counter_ns() + 200_000_000
    result = WorkerResult(
        runtime_version="1", window_start_ns=end_ns - 300_000_000, window_end_ns=end_ns, sample_count=9
    )
    energy_reading, *_ = await watch.stop(result)
    assert time.perf_counter_ns() >= end_ns + 150_000_000
    assert "before the window's end" not in energy_reading.reason
