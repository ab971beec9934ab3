"""Shared weights of ONNX models: planted values are found, code books give the same values back, files shrink."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.steps.share_weights import ShareWeights
from steelyard.compress.steps.sparsify import Sparsify
from tests.controller.compress.weight_models import (
    applied,
    branch_model,
    conv_weights_model,
    drawn,
    embedding_model,
    gemm_model,
    matmul_model,
    op_types,
    recurrent_model,
    run,
    shared_model,
    sqnr_db,
    stored,
)


def _planted(rows: int, columns: int, centres: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return values near planted centres, and the centre of each."""
    rng = np.random.default_rng(seed)
    exact = centres[rng.integers(0, len(centres), (rows, columns))]
    return (exact + 0.002 * rng.standard_normal(exact.shape)).astype(np.float32), exact


def test_planted_values_are_found_in_each_tensor(tmp_path: Path) -> None:
    weight, exact = _planted(40, 30, np.array([-2.0, -0.5, 0.25, 3.0]))
    made, report = applied(ShareWeights(clusters=4), matmul_model(tmp_path / "m.onnx", weight))
    after = stored(made)["w"]
    assert len(np.unique(after)) == 4
    np.testing.assert_allclose(after, exact, atol=5e-4)
    assert "1 weight tensor has 4 different values at most" in report.notes[0]
    assert "same speed" in report.notes[0]


def test_values_of_their_own_a_channel_follow_channels_of_different_size(tmp_path: Path) -> None:
    weight = drawn(8, 6, 3, 3) * (10.0 ** np.arange(-4, 4)).astype(np.float32)[:, None, None, None]
    model = conv_weights_model(tmp_path / "m.onnx", weight)
    whole = stored(applied(ShareWeights(clusters=8), model)[0])["w"]
    each = stored(applied(ShareWeights(clusters=8, codebooks="channel"), model)[0])["w"]
    assert all(len(np.unique(channel)) <= 8 for channel in each)
    assert all(sqnr_db(channel, got) > 10 for channel, got in zip(weight, each, strict=True))
    assert sqnr_db(weight[0], whole[0]) < 1


def test_channels_of_a_product_are_its_columns(tmp_path: Path) -> None:
    weight = drawn(50, 4) * np.array([1, 10, 100, 1000], np.float32)
    after = stored(applied(ShareWeights(clusters=4, codebooks="channel"), matmul_model(tmp_path / "m.onnx", weight))[0])
    assert all(len(np.unique(column)) <= 4 for column in after["w"].T)


def test_a_code_book_gives_the_same_model_in_a_smaller_file(tmp_path: Path) -> None:
    model = gemm_model(tmp_path / "m.onnx", drawn(200, 100), drawn(100, seed=1))
    x = drawn(3, 200, seed=2)
    values, _report = applied(ShareWeights(clusters=16), model)
    wanted, plain_size = run(values, x=x), values.stat().st_size
    book, report = applied(ShareWeights(clusters=16, store="codebook"), model)
    np.testing.assert_array_equal(run(book, x=x), wanted)
    assert op_types(book) == ["Cast", "Gather", "Gemm"]
    assert stored(book)["w_codebook"].shape == (16,)
    assert stored(book)["w_indexes"].dtype == np.uint8
    assert book.stat().st_size < 0.27 * plain_size
    assert "looks them up once" in report.notes[0]


def test_onnxruntime_folds_a_code_book_as_it_loads(tmp_path: Path) -> None:
    model = matmul_model(tmp_path / "m.onnx", drawn(40, 30))
    book, _report = applied(ShareWeights(clusters=16, store="codebook"), model)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "folded.onnx")
    onnxruntime.InferenceSession(str(book), options, providers=["CPUExecutionProvider"])
    assert "Gather" not in op_types(tmp_path / "folded.onnx")


def test_code_books_stand_in_branches_and_are_shared_as_the_weight_was(tmp_path: Path) -> None:
    model = branch_model(tmp_path / "branch.onnx", drawn(6, 50, seed=1), drawn(6, 50, seed=2))
    made, _report = applied(ShareWeights(clusters=8, store="codebook"), model)
    for sign in (1, -1):
        x = sign * np.abs(drawn(2, 6, seed=3))
        assert sqnr_db(run(model, x=x), run(made, x=x)) > 10
    shared, _report = applied(
        ShareWeights(clusters=8, store="codebook"), shared_model(tmp_path / "s.onnx", drawn(9, 9))
    )
    assert op_types(shared) == ["Cast", "Gather", "MatMul", "MatMul"]


def test_zeros_of_an_earlier_step_stay_zero(tmp_path: Path) -> None:
    sparse, _report = applied(Sparsify(sparsity=0.6), matmul_model(tmp_path / "m.onnx", drawn(30, 20)))
    for store in ("values", "codebook"):
        made, _report = applied(ShareWeights(clusters=4, store=store), sparse)
        identity = np.eye(30, dtype=np.float32)
        assert int((run(made, x=identity) == 0).sum()) == 360


def test_the_deflated_file_shrinks(tmp_path: Path) -> None:
    model = matmul_model(tmp_path / "m.onnx", drawn(200, 100))
    made, report = applied(ShareWeights(clusters=16), model)
    sizes = [len(zlib.compress(path.read_bytes())) for path in (model, made)]
    assert sizes[1] < 0.3 * sizes[0]
    assert f"DEFLATEd {sizes[1]:,}, {sizes[0]:,} before" in report.notes[1]


def test_recurrent_weights_and_embeddings_are_shared_and_small_ones_left(tmp_path: Path) -> None:
    made, _report = applied(ShareWeights(clusters=4), recurrent_model(tmp_path / "lstm.onnx"))
    assert [len(np.unique(values)) for values in stored(made).values()] == [4, 4]
    assert np.isfinite(run(made, x=drawn(5, 1, 12))).all()
    table, _report = applied(ShareWeights(clusters=4), embedding_model(tmp_path / "e.onnx", drawn(20, 8)))
    assert len(np.unique(stored(table)["table"])) == 4
    with pytest.raises(CompressionInputError) as caught:
        applied(ShareWeights(), matmul_model(tmp_path / "small.onnx", drawn(4, 4)))
    assert caught.value.reason == "nothing_to_share"


def test_what_keep_names_stays(tmp_path: Path) -> None:
    model = branch_model(tmp_path / "m.onnx", drawn(6, 50, seed=1), drawn(6, 50, seed=2))
    made, report = applied(ShareWeights(clusters=8, keep=("outer",)), model)
    np.testing.assert_array_equal(stored(made)["outer"], stored(model)["outer"])
    assert "left as it was: 'outer' (by the setting keep)" in report.notes


@pytest.mark.parametrize("store", ["values", "codebook"])
def test_the_same_model_gives_the_same_bytes(tmp_path: Path, store: str) -> None:
    model = matmul_model(tmp_path / "m.onnx", drawn(40, 30))
    first = applied(ShareWeights(store=store), model)[0].read_bytes()
    assert applied(ShareWeights(store=store), model)[0].read_bytes() == first
    onnx.checker.check_model(onnx.load_model_from_string(first), full_check=True)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"clusters": 1}, "2 or more"),
        ({"clusters": 257}, "at most 256"),
        ({"clusters": 16.0}, "whole number"),
        ({"store": "book"}, "did you mean 'codebook'"),
        ({"codebooks": "row"}, "channel"),
        ({"codebooks": "channel", "store": "codebook"}, "saves nothing"),
        ({"keep": ("",)}, "list of patterns"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        ShareWeights(**settings)
