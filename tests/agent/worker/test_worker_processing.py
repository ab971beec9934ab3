"""What a task declares around the model: the same arithmetic as the controller's, timed by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.tasks.preprocess import Preprocess
from steelyard_agent.worker.block import KIND_LATENCY, Block, Timing, WorkerResult
from steelyard_agent.worker.blocks import run_block
from steelyard_agent.worker.opening import open_runtime
from steelyard_agent.worker.processing import draw_stored, preprocess
from steelyard_agent.worker.processing_spec import STORED_DTYPES, Processing
from tests.support import models

QUICK = Timing(sample_window_ms=5, warmup_window_ms=2, warmup_cap_ms=10)
GREY = Processing(stored_dtype="uint8", stored_shape=(12, 12), divide=255.0, layout="NCHW", reduces=True)


def _run(model: Path, processing: Processing, **changes: Any) -> WorkerResult:
    block = Block(
        kind=KIND_LATENCY,
        runtime_name="onnxruntime",
        model_path=str(model),
        timing=QUICK,
        processing=processing,
        **changes,
    )
    return run_block(open_runtime(block, lambda _phase: None))


@given(
    st.sampled_from(["", "NCHW", "NHWC"]),
    st.sampled_from(STORED_DTYPES),
    st.sampled_from([(3, 2), (4, 3, 3), (2, 5, 1)]),
    st.floats(0.5, 255),
    st.booleans(),
    st.integers(0, 100),
)
@settings(max_examples=80, deadline=None)
def test_preprocessing_is_bit_for_bit_the_controllers(
    layout: str, dtype: str, shape: tuple[int, ...], divide: float, per_channel: bool, seed: int
) -> None:
    channels = 1 if layout and len(shape) == 2 else shape[-1]
    count = channels if per_channel else 1
    means, stds = tuple(0.1 * index for index in range(count)), tuple(0.2 + index for index in range(count))
    ours = Processing(stored_dtype=dtype, stored_shape=shape, divide=divide, mean=means, std=stds, layout=layout)
    stored = draw_stored(ours, 2, seed)
    theirs = Preprocess(divide=divide, mean=means, std=stds, layout=layout).apply(stored)
    made = preprocess(ours, stored)
    assert made.dtype == np.float32
    assert made.flags.c_contiguous
    assert np.array_equal(made, theirs)


@pytest.mark.parametrize("dtype", STORED_DTYPES)
def test_stored_samples_are_drawn_in_their_type_the_same_for_the_same_seed(dtype: str) -> None:
    spec = Processing(stored_dtype=dtype, stored_shape=(7, 5))
    stored = draw_stored(spec, 3, 1)
    assert (stored.dtype.name, stored.shape) == (dtype, (3, 7, 5))
    assert np.array_equal(stored, draw_stored(spec, 3, 1))
    assert stored.max() > stored.min()


def test_both_are_timed_apart_and_beside_the_inference(tmp_path: Path) -> None:
    result = _run(models.conv_model(tmp_path / "m.onnx"), GREY, batch_size=2)
    assert len(result.preprocessing_ns) >= 10
    assert len(result.postprocessing_ns) >= 10
    assert min(*result.preprocessing_ns, *result.postprocessing_ns) > 0
    assert not any("was not timed" in note for note in result.notes)


def test_nothing_is_timed_where_nothing_is_declared(tmp_path: Path) -> None:
    result = _run(models.conv_model(tmp_path / "m.onnx"), Processing())
    assert (result.preprocessing_ns, result.postprocessing_ns) == ((), ())


def test_preprocessing_that_is_another_models_is_a_note_and_no_figure(tmp_path: Path) -> None:
    wrong = Processing(stored_dtype="uint8", stored_shape=(12, 12, 3), layout="NHWC")
    result = _run(models.conv_model(tmp_path / "m.onnx"), wrong)
    assert result.preprocessing_ns == ()
    assert any("it makes float32 1x12x12x3 and the model takes image" in note for note in result.notes)
    assert result.latency_ns


def test_a_reducer_that_does_not_fit_is_a_note_and_no_figure(tmp_path: Path) -> None:
    model = models.sum_model(tmp_path / "m.onnx")
    result = _run(model, Processing(reduces=True))
    assert result.postprocessing_ns == ()
    assert any("postprocessing was not timed: reducer 'argmax' needs scores" in note for note in result.notes)
    assert _run(model, Processing(reduces=True), reducer="full").postprocessing_ns


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stored_dtype": "complex64"}, "stored_dtype 'complex64'"),
        ({"layout": "CHWN"}, "layout 'CHWN'"),
        ({"stored_shape": (0, 4)}, r"stored_shape \(0, 4\)"),
        ({"stored_shape": (1 << 20, 1 << 20)}, "is no shape of a sample"),
        ({"layout": "NCHW", "stored_shape": (4,)}, "needs a stored image"),
        ({"divide": 0.0}, "must not be 0"),
        ({"std": (0.0,)}, "must not be 0"),
        ({"mean": ()}, "one finite number"),
        ({"mean": (float("nan"),)}, "one finite number"),
        ({"mean": (1.0, 2.0), "stored_shape": (4, 4, 3)}, "mean has 2 values and a sample 3 channels"),
    ],
)
def test_what_cannot_be_computed_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Processing(**({"stored_dtype": "uint8", "stored_shape": (4, 4)} | changes))
