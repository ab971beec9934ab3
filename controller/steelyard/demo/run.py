"""What the demo does, through the same client as every other command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.cli.follow import follow
from steelyard.cli.models import make_variants
from steelyard.control.energy_plan import EnergyOptions
from steelyard.control.plans import MeasurementOptions
from steelyard_protocol.v1 import measurement_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client

DEMO_MODELS = ("fashion_resnet", "fashion_mobilenet")
DEMO_RECIPES = ("float16", "dynamic-int8", "static-int8")
_TASK = "fashion_mnist.toml"
_LEAST_ROUNDS = 6
# Of each model; a quiet machine with two cores takes half of it.
_BUDGET_S = 90.0


def assets() -> Path:
    """Return the folder of the shipped models and data."""
    return Path(__file__).with_name("assets")


def run_model(client: Client, name: str, round_count: int) -> measurement_pb2.Measurement:
    """Compress one shipped model in every way, and measure and evaluate the variants on this machine.

    ``round_count`` is the most that are measured; a machine that others keep busy is not waited for much longer.
    """
    original = client.add_model(assets() / f"{name}.onnx")
    task = client.add_task(assets() / _TASK, original)
    variants = make_variants(client, original, DEMO_RECIPES, task=task, seed=0, device="local")
    # A glance: one window a model, where there is a sensor, and no minutes of idling.
    energy = EnergyOptions(round_count=1, window_s=10.0, idle_s=0.0)
    options = MeasurementOptions(
        min_round_count=min(_LEAST_ROUNDS, round_count),
        max_round_count=round_count,
        budget_s=_BUDGET_S,
        title=name,
        energy=energy,
    )
    handle = client.measure([original, *variants], device="local", task=task, options=options)
    follow(handle, f"{name} on local")
    return handle.measurement()
