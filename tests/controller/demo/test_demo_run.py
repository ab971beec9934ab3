"""What the demo asks for, through a client that only notes it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from steelyard.cli.main import cli
from steelyard.control.plans import MeasurementOptions
from steelyard.demo import run as demo
from steelyard_protocol.v1 import control_pb2, measurement_pb2
from tests.support import measurements
from tests.support.addresses import free_address


@dataclass
class PlannedHandle:
    """A job that is done when it is asked for."""

    made: control_pb2.Artifact = field(default_factory=control_pb2.Artifact)
    estimated_ms: int = 0

    def wait(self, _on_event: object = None) -> control_pb2.Job:
        return control_pb2.Job(state=control_pb2.JOB_STATE_RECORDED)

    def variant(self) -> control_pb2.Artifact:
        return self.made

    def measurement(self) -> measurement_pb2.Measurement:
        return measurements.normal()


@dataclass
class NotingClient:
    """Answers as a controller would; ``asked`` is what it was asked for."""

    asked: list[tuple[str, object]] = field(default_factory=list)

    def add_model(self, path: Path) -> control_pb2.Artifact:
        assert path.is_file()
        return control_pb2.Artifact(name=path.stem, digest="aa")

    def add_task(self, path: Path, _artifact: control_pb2.Artifact) -> control_pb2.Task:
        assert path.is_file()
        return control_pb2.Task(task_id="t1", name=path.stem)

    def compress(self, artifact: control_pb2.Artifact, recipe: str, **rest: object) -> PlannedHandle:
        self.asked.append((recipe, rest["device"]))
        return PlannedHandle(made=control_pb2.Artifact(name=f"{artifact.name}-{recipe}"))

    def measure(
        self, artifacts: list[control_pb2.Artifact], *, device: str, task: control_pb2.Task, options: MeasurementOptions
    ) -> PlannedHandle:
        self.asked.append((device, [artifact.name for artifact in artifacts]))
        assert task.task_id == "t1"
        assert (options.min_round_count, options.max_round_count) == (5, 5)
        return PlannedHandle()


@pytest.mark.parametrize("name", demo.DEMO_MODELS)
def test_a_shipped_model_is_made_smaller_in_every_way_and_measured_beside_its_variants(name: str) -> None:
    client = NotingClient()
    measurement = demo.run_model(client, name, 5)
    assert [asked[0] for asked in client.asked[:-1]] == ["float16", "dynamic-int8", "static-int8"]
    assert client.asked[-1] == ("local", [name, *(f"{name}-{recipe}" for recipe in demo.DEMO_RECIPES)])
    assert measurement.decision.sentence


def test_the_shipped_models_and_data_are_small_and_two_kinds() -> None:
    assert len(demo.DEMO_MODELS) >= 2
    assert sum(path.stat().st_size for path in demo.assets().iterdir()) <= 5 * 1024 * 1024


def test_the_command_prints_the_tables_and_writes_the_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "run_model", lambda _client, _name, _rounds: measurements.normal())
    before = ["--state-directory", str(tmp_path / "state"), "--listen", free_address()]
    report = tmp_path / "demo.html"
    shown = CliRunner().invoke(cli, [*before, "demo", "-o", str(report)])
    assert shown.exit_code == 0
    assert shown.stdout.count("Ship static-int8") == len(demo.DEMO_MODELS)
    assert f"report: {report}" in shown.stderr
    assert report.is_file()
    document = json.loads(CliRunner().invoke(cli, [*before, "demo", "--json", "-o", str(report)]).stdout)
    assert len(document["measurements"]) == len(demo.DEMO_MODELS)
    assert document["report"] == str(report)


def test_a_terminal_hears_what_is_going_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from steelyard.cli import demo as command

    monkeypatch.setattr(command, "is_terminal", lambda: True)
    monkeypatch.setattr(demo, "run_model", lambda _client, _name, _rounds: measurements.normal())
    before = ["--state-directory", str(tmp_path / "state"), "--listen", free_address()]
    shown = CliRunner().invoke(cli, [*before, "demo", "-o", str(tmp_path / "demo.html")])
    assert "weighing 2 models" in shown.stderr
    assert "done in" in shown.stderr
    assert "weighing" not in shown.stdout
