"""A suite on simulated devices, its nights kept by a real controller."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.nightly.night_report import NightReport
from steelyard.nightly.report_json import to_json
from steelyard.nightly.running import EndedNight, run_night
from steelyard.nightly.runs import NightOptions
from steelyard.settings import Settings
from steelyard.suites.effective import suite_toml
from steelyard.suites.reading import load_suite
from steelyard.suites.suite import Suite
from steelyard_protocol.v1 import nightly_pb2
from tests.support import models
from tests.support.simulated_fleet import SimulatedClock, SimulatedDevice, SimulatedFleet

SUITE = """
[suite]
name = "{name}"
budget = "90m"
[devices]
tags = ["rack"]
[[model]]
name = "keywords"
file = "keywords.onnx"
[[runtime]]
name = "cpu"
"""


@dataclass(slots=True, kw_only=True)
class Shelf:
    """A suite with its folder, the fleet that it runs on, and a clock of nights."""

    suite: Suite
    fleet: SimulatedFleet
    folder: Path
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    said: list[str] = field(default_factory=list)

    def night(self, **changes: Any) -> NightReport:
        """Run one night and return its report."""
        return self.ended(**changes).built.report

    def ended(self, **changes: Any) -> EndedNight:
        """Run one night."""
        options = changes.pop("options", NightOptions(hold_s=60.0, look_s=60.0))
        return run_night(
            self.suite,
            self.fleet.client,
            options=options,
            clock=self.clock,
            say=self.said.append,
            judge_pair=self.fleet.judge_pair,
            **changes,
        )

    def nights(self, count: int) -> None:
        """Run one night, and keep more that are like it but for noise."""
        first = self.ended()
        random = np.random.default_rng(count)
        with self.fleet.client() as client:
            points = list(client.nightly.series.night_points(first.night.night_id))
            known = client.nightly.series.environments([one.environment_id for one in points])
            for _ in range(count - 1):
                self._keep_another(client, first, points, known, 1.0 + random.normal(0.0, 0.004, size=len(points)))

    def _keep_another(
        self,
        client: Any,
        first: EndedNight,
        points: list[nightly_pb2.Point],
        known: Mapping[int, Mapping[str, str]],
        noise: NDArray[np.float64],
    ) -> None:
        self.clock.set(self.clock.now() + timedelta(days=1))
        begun = client.nightly.begin(
            self.suite.name,
            suite_digest=first.night.suite_digest,
            suite_text=suite_toml(self.suite),
            started_at=self.clock.now(),
        )
        ids = sorted(known)
        copies = []
        for one, factor in zip(points, noise.tolist(), strict=True):
            copy = nightly_pb2.Point(key=one.key, text=one.text, environment_index=ids.index(one.environment_id) + 1)
            if one.HasField("value"):
                copy.value = one.value * (factor if one.key.unit == "ns" else 1.0)
            if one.HasField("sentinel"):
                copy.sentinel = one.sentinel * factor
            copies.append(copy)
        client.nightly.series.record(begun.night.night_id, copies, [known[one] for one in ids])
        client.nightly.end(
            begun.night.night_id,
            verdict="PASS",
            exit_code=0,
            report=to_json(first.built.report).encode(),
            ended_at=self.clock.now(),
        )

    def write_model(self, name: str = "keywords.onnx", *, seed: int = 0) -> None:
        """Write another model into the suite's file."""
        models.conv_model(self.folder / name, seed=seed)

    def change(self, **changes: Any) -> None:
        """Edit the suite."""
        self.suite = replace(self.suite, **changes)

    def reload(self, text: str) -> None:
        """Write the suite's file anew and read it."""
        path = self.folder / "night.toml"
        path.write_text(text.format(name=self.suite.name), encoding="utf-8")
        self.suite = load_suite(path, os.environ)


@pytest.fixture(scope="session")
def kept_nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Client]]:
    """One controller for all tests; each has a suite of its own name."""
    settings = Settings(state_directory=tmp_path_factory.mktemp("nights"), agent_listen="127.0.0.1:0")
    with connect(settings=settings):
        yield lambda: connect(settings=settings)


@pytest.fixture
def shelf(kept_nights: Callable[[], Client], tmp_path: Path) -> Shelf:
    name = f"shelf-{uuid.uuid4().hex[:8]}"
    models.conv_model(tmp_path / "keywords.onnx", seed=0)
    path = tmp_path / "night.toml"
    path.write_text(SUITE.format(name=name), encoding="utf-8")
    device = SimulatedDevice(device_id=f"device-{name}", name=f"pi-{name}", tags=("rack",))
    fleet = SimulatedFleet(kept_nights, [device])
    return Shelf(suite=load_suite(path, os.environ), fleet=fleet, folder=tmp_path)
