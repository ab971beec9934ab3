"""A real agent beside a RAPL counter that this process advances by what its worker really uses: net, gross, idle."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from steelyard.control.client import Client
from steelyard.control.energy_plan import EnergyOptions
from steelyard.control.mode_plan import ModeOptions
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import NotFoundError
from steelyard_protocol.v1 import common_pb2, control_pb2, measurement_pb2, plan_pb2, result_pb2
from tests.loopback.cpu_meter import WorkerClock
from tests.loopback.power_truth import PowerTruth
from tests.support.anywhere import ANYWHERE
from tests.support.processes import wait_until

IDLE_W, BUSY_W = 3.0, 9.0
RANGE_UJ = 262_143_328_850
ZONE = "sys/class/powercap/intel-rapl:0"
# The first of them wraps soon after the test has begun.
START_UJ = RANGE_UJ - 20_000_000
ROUNDS = 3
OPTIONS = {"min_round_count": 3, "max_round_count": 3, "sample_window_ms": 20, "device_wait_s": 60.0, "gate": ANYWHERE}


class RaplTree:
    """A tree with this machine's /proc and one package zone, advanced in a thread: a load of so many watts a core."""

    def __init__(self, root: Path) -> None:
        self.root = root
        zone = root / ZONE
        zone.mkdir(parents=True)
        for name in ("proc", "etc"):
            (root / name).symlink_to(f"/{name}")
        (zone / "name").write_text("package-0\n")
        (zone / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
        self._counter = os.open(zone / "energy_uj", os.O_WRONLY | os.O_CREAT, 0o644)
        self.truth = PowerTruth()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._advance)
        self._show(0.0)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._counter)

    def _advance(self) -> None:
        clock, then, busy, joules = WorkerClock(), time.monotonic_ns(), 0, 0.0
        while not self._ended.wait(0.005):
            used, now = clock.busy_ns(), time.monotonic_ns()
            spent_ns = used - busy if used >= busy else used
            joules += (IDLE_W * (now - then) + BUSY_W * spent_ns) / 1e9
            self._show(joules)
            self.truth.add(now, joules)
            then, busy = now, used

    def _show(self, joules: float) -> None:
        # One write of one length, so that a reader never sees half a number; the kernel's file has no zeros before it.
        os.pwrite(self._counter, f"{(START_UJ + round(joules * 1e6)) % (RANGE_UJ + 1):012d}\n".encode(), 0)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[RaplTree]:
    made = RaplTree(tmp_path / "tree")
    yield made
    made.end()


@pytest.fixture
def bench(client: Client, tree: RaplTree, tmp_path: Path) -> Iterator[str]:
    """An agent with the tree's sensors that has said hello."""
    log_path = tmp_path / "agent.log"
    with log_path.open("wb") as log:
        agent = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.loopback.rapl_agent", str(tree.root)),
                *("run", "--controller", client.controller().agent_address, "--name", "bench"),
                *("--state-directory", str(tmp_path / "agent")),
            ],
            cwd=Path(__file__).parents[2],
            stderr=log,
        )

    def is_there() -> bool:
        assert agent.poll() is None, log_path.read_text()
        try:
            return client.device("bench").online
        except NotFoundError:
            return False

    try:
        wait_until(is_there, timeout_s=90.0)
        yield "bench"
    finally:
        agent.terminate()
        assert agent.wait(60) == 0, log_path.read_text()


class TrueRound:
    """What a round really used an inference, and by how much a reader of the counter may rightly be off."""

    def __init__(self, one: result_pb2.RoundResult, truth: PowerTruth) -> None:
        before, block, after = (block.energy_window for block in one.blocks)
        each_s = duration_s(block) / block.inference_count
        self.idle_w = (truth.mean_w(before) + truth.mean_w(after)) / 2
        self.idle_doubt_w = sum(truth.doubt_j(idle) / duration_s(idle) for idle in (before, after)) / 2
        self.gross_j = truth.mean_w(block) * each_s
        self.net_j = self.gross_j - self.idle_w * each_s
        self.doubt_j = truth.doubt_j(block) / block.inference_count + self.idle_doubt_w * each_s


def duration_s(window: result_pb2.EnergyWindow) -> float:
    return (window.end_ns - window.start_ns) / 1e9


def measured(
    client: Client, model: Path, energy: EnergyOptions, **options: object
) -> tuple[measurement_pb2.Measurement, list[result_pb2.RoundResult]]:
    plan = MeasurementOptions(**{**OPTIONS, **options}, energy=energy)  # type: ignore[arg-type]
    handle = client.measure([client.add_model(model)], device="bench", options=plan)
    job = handle.wait()
    assert job.state == control_pb2.JOB_STATE_RECORDED, job.error.message
    return handle.measurement(), client.rounds(handle.job_id)


def energy_rounds(rounds: list[result_pb2.RoundResult]) -> list[result_pb2.RoundResult]:
    return [one for one in rounds if one.pass_kind == result_pb2.PASS_ENERGY]


def test_gross_net_and_idle_are_what_the_counter_was_advanced_by(
    client: Client, bench: str, tree: RaplTree, model: Callable[..., Path]
) -> None:
    assert client.device(bench).description.least_energy_window_ms == 10_000
    energy = EnergyOptions(round_count=ROUNDS, window_s=3.0, idle_s=3.0)
    measurement, rounds = measured(client, model(), energy)
    variant = measurement.variants[0]
    passes = energy_rounds(rounds)
    assert len(passes) == ROUNDS
    truth = [TrueRound(one, tree.truth) for one in passes]
    readings = [one for one in variant.energy_readings if one.name == "energy_per_inference"]
    # A reader that is kept waiting says so in its uncertainty.
    told_j = np.mean([one.value for one in variant.energy_readings if one.name == "energy_per_inference_uncertainty"])
    doubt_j = np.mean([one.doubt_j for one in truth])
    gross_j, net_j = (np.mean([getattr(one, name) for one in truth]) for name in ("gross_j", "net_j"))
    assert variant.energy.value == pytest.approx(gross_j, abs=0.01 * gross_j + told_j + doubt_j)
    assert variant.net_energy.value == pytest.approx(net_j, abs=0.02 * net_j + told_j + doubt_j)
    assert variant.net_energy.low - doubt_j <= net_j <= variant.net_energy.high + doubt_j
    idle_w, doubt_w = np.mean([one.idle_w for one in truth]), np.mean([one.idle_doubt_w for one in truth])
    assert measurement.idle_power.value == pytest.approx(idle_w, abs=0.01 * idle_w + doubt_w)
    # Asleep: nearly nothing above what the device draws by itself.
    assert measurement.idle_power.value == pytest.approx(IDLE_W, rel=0.1)
    assert variant.mean_power.value > 1.2 * measurement.idle_power.value
    assert variant.net_energy.reason == ""
    assert {one.scope for one in variant.energy_readings if one.name == "energy_per_inference"} == {
        common_pb2.READING_SCOPE_SOC
    }
    assert any(note.startswith("loaded and asleep") for note in variant.notes)
    # Three seconds were asked for; a processor that is busy with something else makes more of them.
    assert all(
        re.search(r"low_confidence: the window lasted [3-9]\.\d s, less than 10 s", one.reason) for one in readings
    )


def test_a_paced_model_has_the_energy_of_its_waiting_as_well(
    client: Client, bench: str, tree: RaplTree, model: Callable[..., Path]
) -> None:
    """Twenty a second of a model that takes far less: each holds a twentieth of a second of the device."""
    assert bench
    energy = EnergyOptions(round_count=1, window_s=3.0, idle_s=3.0)
    measurement, rounds = measured(client, model(), energy, mode=ModeOptions(name="paced", rate_hz=20.0))
    assert measurement.plan.mode.mode == plan_pb2.MODE_PACED
    (_, block, _) = energy_rounds(rounds)[0].blocks
    window = block.energy_window
    each_s = duration_s(window) / window.inference_count
    assert each_s == pytest.approx(1 / 20, rel=0.05)
    variant = measurement.variants[0]
    gross_j = tree.truth.mean_w(window) * each_s
    doubt_j = 0.02 * gross_j + tree.truth.doubt_j(window) / window.inference_count
    assert variant.energy.value == pytest.approx(gross_j, abs=doubt_j)
    assert variant.energy.value > 0.9 * IDLE_W / 20


def test_without_energy_rounds_nothing_idles_although_there_is_a_sensor(
    client: Client, bench: str, model: Callable[..., Path]
) -> None:
    assert bench
    measurement, rounds = measured(client, model(), EnergyOptions(round_count=0))
    assert energy_rounds(rounds) == []
    assert "the energy pass did not run" in measurement.variants[0].energy.reason
    assert not measurement.HasField("idle_power") or not measurement.idle_power.HasField("value")
    orders = [[block.label for block in one.blocks] for one in rounds]
    assert all("idle" not in label for labels in orders for label in labels)
    assert all(one.round_index < two.round_index for one, two in pairwise(rounds) if one.pass_kind == two.pass_kind)
