"""A model in parts through a real controller, and a part measured on a device with what it is really fed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions
from steelyard.family import parent_of
from tests.controller.compress.parts.planted import Planted
from tests.support.anywhere import ANYWHERE

_QUICK = MeasurementOptions(min_round_count=3, max_round_count=3, sample_window_ms=20, gate=ANYWHERE)


def test_parts_are_compressed_by_their_calls_scored_in_the_whole_and_measured(
    shared_client: Client, tmp_path: Path
) -> None:
    planted = Planted(tmp_path)
    tasks = tmp_path / "tasks"
    found = shared_client.compress_parts(
        planted.parts_file(), ["encoder=float16", "decoder=static-int8"], task=planted.task_file(), tasks_dir=tasks
    )
    encoder, decoder = found.parts
    assert (encoder.variant.lineage.recipe_name, decoder.variant.lineage.recipe_name) == ("float16", "static-int8")
    assert parent_of(decoder.variant) == decoder.original.digest
    assert decoder.variant.lineage.task_id == decoder.task.task_id
    assert decoder.variant.lineage.calibration_sample_count == 120
    assert decoder.variant.lineage.steps[0].evaluation.metric == "sqnr"
    scores = found.scores
    assert scores.original.value == 200.0
    assert scores.alone["encoder"].value > scores.alone["decoder"].value
    assert abs(scores.together.value - scores.alone["decoder"].value) < 3.0

    task = shared_client.add_task(tasks / "decoder.toml", decoder.original)
    assert task.task_id == decoder.task.task_id
    handle = shared_client.measure([decoder.original, decoder.variant], device="local", task=task, options=_QUICK)
    handle.wait()
    original, variant = handle.measurement().variants
    assert original.accuracy.value == 200.0
    # The same machine and runtime on the same calls; the device's other session options may move a rounding.
    assert abs(variant.accuracy.value - decoder.variant.lineage.steps[0].evaluation.value) < 0.5


def test_a_task_with_a_fixed_rate_is_measured(shared_client: Client, tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "d.npz",
        token=rng.integers(0, 5, (6, 1)),
        state=rng.standard_normal((6, 2, 1, 8)).astype(np.float32),
        y=np.arange(6) % 5,
    )
    path = tmp_path / "fixed.toml"
    path.write_text(
        'name = "fixed"\ndata = "d.npz"\nwhole = true\n[evaluation]\n'
        'inputs = { token = "token", state = "state" }\nlabels = "y"\n[fixed.rate]\nvalue = 16000\n'
    )
    model = shared_client.add_model(planted.folder / "decoder.onnx")
    task = shared_client.add_task(path, model)
    handle = shared_client.measure([model], device="local", task=task, options=_QUICK)
    handle.wait()
    with np.load(tmp_path / "d.npz") as data:
        right = [
            int(planted.step(token, state)[0].argmax() == label)
            for token, state, label in zip(data["token"], data["state"], data["y"], strict=True)
        ]
    assert handle.measurement().variants[0].accuracy.value == sum(right) / 6
