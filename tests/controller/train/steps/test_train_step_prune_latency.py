"""Pruning to a latency as a step: candidates of one ranking, measured by a device that we own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import onnx
import pytest

from steelyard.compress.recipe_text import load_recipe
from steelyard.train.errors import TrainingInputError
from steelyard_protocol.v1 import control_pb2, measurement_pb2
from tests.controller.train.steps.recipes import SHORT, model, run, score


def work(path: Path) -> int:
    """Return how many weights the convolutions of a file have."""
    graph = onnx.load_model(path).graph
    sizes = {one.name: one.dims for one in graph.initializer}
    return sum(sizes[node.input[1]][0] * sizes[node.input[1]][1] * 9 for node in graph.node if node.op_type == "Conv")


def estimate(value: float, unit: str) -> measurement_pb2.Estimate:
    return measurement_pb2.Estimate(value=value, low=0.99 * value, high=1.01 * value, unit=unit, observation_count=6)


@dataclass
class WeighingDevice:
    """Takes a microsecond a call and a nanosecond a weight; keeps what it was given."""

    fixed_ns: float = 1000.0
    asked: list[tuple[int, str]] = field(default_factory=list)

    def measure(self, candidate: Path, reference: Path, what: str) -> control_pb2.StepLatency:
        self.asked.append((work(candidate), what))
        took, took_first = (self.fixed_ns + work(path) for path in (candidate, reference))
        return control_pb2.StepLatency(
            device="scales",
            job_id="1",
            p50=estimate(took, "ns"),
            parent_p50=estimate(took_first, "ns"),
            speedup=estimate(took_first / took, "ratio"),
        )


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of three convolutions of 24 channels."""
    return model(tmp_path_factory.mktemp("network"), channels=24, depth=3, seed=5)


def share_of_time(made: Path, of: Path, device: WeighingDevice) -> float:
    return (device.fixed_ns + work(made)) / (device.fixed_ns + work(of))


def test_half_of_the_time_is_hit_without_training_and_told(network: Path) -> None:
    device = WeighingDevice()
    result = run(network, "prune,latency=0.5x,round_to=1,epochs=0", latency=device)
    assert share_of_time(result.path, network, device) == pytest.approx(0.5, rel=0.05)
    assert 1 <= len(device.asked) <= 4
    told = next(note for note in result.notes if "of the model's time" in note)
    assert f"{len(device.asked)} candidate" in told
    assert "of macs left is 0." in told
    # What was found stands among the settings, so that others can prune as much without a device.
    assert '"amount": 0.5,' not in result.lineage.steps[0].settings_json


def test_a_time_in_microseconds_is_a_target_too(network: Path) -> None:
    device = WeighingDevice()
    result = run(network, "prune,latency=6us,round_to=1,epochs=0", latency=device)
    assert device.fixed_ns + work(result.path) == pytest.approx(6000, rel=0.05)


def test_rounds_are_spread_to_the_amount_that_was_found_and_the_last_is_measured(network: Path) -> None:
    device = WeighingDevice()
    result = run(network, f"prune,latency=0.4x,round_to=1,rounds=2,{SHORT}", latency=device)
    assert share_of_time(result.path, network, device) == pytest.approx(0.4, rel=0.05)
    assert score(result) > 0.7
    (first, last) = [note for note in result.notes if "of the model's time" in note]
    assert "1 candidate measured" in last
    assert work(result.path) == device.asked[-1][0]
    assert first != ""


@pytest.mark.parametrize(
    ("recipe", "fixed_ns", "reason", "words"),
    [
        (
            "latency=0.3x",
            1e6,
            "latency_beyond_reach",
            r"0\.3x is out of reach: with as few channels as may stay, .* 0\.99",
        ),
        ("latency=5ms", 1e3, "latency_reached_already", r"asks for nothing: the model takes 1\d\.\d us on scales"),
    ],
)
def test_a_latency_that_cannot_be_or_is_already_is_refused(
    network: Path, recipe: str, fixed_ns: float, reason: str, words: str
) -> None:
    with pytest.raises(TrainingInputError, match=words) as caught:
        run(network, f"prune,{recipe},round_to=1,epochs=0", latency=WeighingDevice(fixed_ns=fixed_ns))
    assert caught.value.reason == reason


def test_without_a_device_it_says_how_to_name_one(network: Path) -> None:
    assert load_recipe("prune,latency=0.5x").needs_latency
    assert not load_recipe("prune").needs_latency
    with pytest.raises(TrainingInputError, match="name one with --device NAME") as caught:
        run(network, "prune,latency=0.5x,epochs=0")
    assert caught.value.reason == "no_device"
