"""The state of a sequence model: its names, its shapes, and that it is really carried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from steelyard_agent.runtimes.lookup import find_runtime
from steelyard_agent.worker.contract import RuntimeOptions, TensorSpec
from steelyard_agent.worker.failure import BlockFailure
from steelyard_agent.worker.state import carried, check_state_names, fresh_state, fresh_state_shapes
from steelyard_agent.worker.stepwise import Sequences
from tests.support import models

STATE = {"h": "hn", "c": "cn"}
S = 1_000_000_000


def _spec(name: str, *shape: int | str, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


class Watched:
    """A loaded model that keeps a copy of the inputs and outputs of every step."""

    def __init__(self, model: object) -> None:
        self._model = model
        self.inputs, self.outputs = model.inputs, model.outputs
        self.steps: list[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]] = []

    def bind(self, feeds: Mapping[str, np.ndarray]) -> Callable[[], object]:
        call = self._model.bind(feeds)
        copied = {name: values.copy() for name, values in feeds.items()}

        def watched() -> None:
            call()
            self.steps.append((copied, {name: values.copy() for name, values in self._model.fetch().items()}))

        return watched

    def fetch(self) -> dict[str, np.ndarray]:
        return self._model.fetch()


def test_every_step_is_fed_what_the_last_one_made_and_every_sequence_begins_with_zeros(tmp_path: Path) -> None:
    path = models.lstm_step_model(tmp_path / "m.onnx")
    model = Watched(find_runtime("onnxruntime").load(path, RuntimeOptions(intra_op_thread_count=1)))
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    fresh = {"x": x, "h": np.zeros((1, 2, 8), np.float32), "c": np.zeros((1, 2, 8), np.float32)}
    times = iter(range(0, 10**12, 10))
    sequences = Sequences(
        model=model, fresh=fresh, state_outputs=STATE, step_count=3, clock=lambda: next(times), say=lambda _phase: None
    )
    sequences.run_for(200)
    assert len(sequences.step_ns) >= 2
    assert all(len(steps) == 3 for steps in sequences.step_ns)
    assert len(model.steps) == 3 * len(sequences.step_ns)
    for index, (given, _) in enumerate(model.steps):
        assert np.array_equal(given["x"], x)
        for name, output in STATE.items():
            expected = np.zeros_like(fresh[name]) if index % 3 == 0 else model.steps[index - 1][1][output]
            assert np.array_equal(given[name], expected)
    # Not a constant by accident: the state moves the outputs.
    assert not np.allclose(model.steps[0][1]["logits"], model.steps[1][1]["logits"])


def test_long_sequences_give_a_sign_once_a_second(tmp_path: Path) -> None:
    path = models.accumulator_model(tmp_path / "m.onnx")
    now_ns = [0]

    def clock() -> int:
        now_ns[0] += S // 10
        return now_ns[0]

    said: list[str] = []
    zeros = np.zeros((1, 4), np.float32)
    sequences = Sequences(
        model=find_runtime("onnxruntime").load(path, RuntimeOptions()),
        fresh={"x": zeros, "h": zeros},
        state_outputs={"h": "hn"},
        step_count=40,
        clock=clock,
        say=said.append,
    )
    sequences.run_for(1)
    # 39 times three readings of a tenth of a second between steps.
    assert said == ["steps"] * (39 * 3 // 12)


def test_names_and_types_are_checked_before_anything_runs() -> None:
    inputs, outputs = (_spec("x", 1, 4), _spec("h", 1, 8)), (_spec("hn", 1, 8), _spec("i", 1, 8, dtype="int64"))
    check_state_names(inputs, outputs, {"h": "hn"})
    for state, sentence in (
        ({"g": "hn"}, "names the input 'g', the model has x, h"),
        ({"h": "gn"}, "names the output 'gn', the model has hn, i"),
        ({"h": "i"}, "output 'i' is int64 and input 'h' takes float32"),
    ):
        with pytest.raises(BlockFailure, match=sentence):
            check_state_names(inputs, outputs, state)


def test_open_dimensions_of_a_state_are_the_batch_what_is_given_or_empty() -> None:
    inputs = (_spec("x", "batch", "width"), _spec("h", 2, "batch", "width"), _spec("past", "batch", 4, "", 8))
    states = {"h": "hn", "past": "present"}
    assert fresh_state_shapes(inputs, states, {"x": (3, 16)}, 3) == {"h": (2, 3, 16), "past": (3, 4, 0, 8)}
    given = {"x": (3, 16), "past": (3, 4, 2, 8)}
    shapes = fresh_state_shapes(inputs, states, given, 3)
    assert shapes["past"] == (3, 4, 2, 8)
    zeros = fresh_state(inputs, shapes)
    assert set(zeros) == {"h", "past"}
    assert not any(values.any() for values in zeros.values())


@pytest.mark.parametrize("shape", [(1, 3), (1, 2, 1)])
def test_a_state_that_does_not_fit_its_input_is_refused_with_the_step(shape: tuple[int, ...]) -> None:
    inputs = {"h": _spec("h", "batch", 2)}
    assert carried(inputs, {"hn": np.zeros((5, 2))}, {"h": "hn"}, 1)["h"].shape == (5, 2)
    with pytest.raises(BlockFailure, match=r"after step 7 output 'hn' is .* and input 'h' takes batchx2") as caught:
        carried(inputs, {"hn": np.zeros(shape)}, {"h": "hn"}, 7)
    assert caught.value.reason == "state_misfit"
