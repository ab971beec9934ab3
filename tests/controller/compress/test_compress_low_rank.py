"""Low rank: planted ranks are found, factors compute the same, and only what saves work is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from steelyard.compress.errors import CompressionInputError, RecipeError
from steelyard.compress.steps.low_rank import LowRank
from steelyard.compress.weights.factors import decompose
from steelyard.compress.weights.second_moment import SecondMoment
from tests.controller.compress.weight_models import (
    applied,
    branch_model,
    conv_weights_model,
    drawn,
    gemm_model,
    matmul_model,
    op_types,
    run,
    saved,
    shared_model,
    sqnr_db,
    stored,
    tensor,
)


def _of_rank(rank: int, rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return drawn(rows, rank, seed=seed) @ drawn(rank, columns, seed=seed + 1)


def _macs(matrix: np.ndarray) -> dict[str, int]:
    return {"macs_by_rank": sum(matrix.shape), "macs_before": matrix.size}


def test_the_planted_rank_is_the_one_that_keeps_everything() -> None:
    matrix = _of_rank(5, 40, 30).astype(np.float64)
    found = decompose(matrix, **_macs(matrix))
    rank = found.rank_of_energy(0.999999)
    assert rank == 5
    left, right = found.factors(rank)
    np.testing.assert_allclose(left @ right, matrix, atol=1e-5)
    # Balanced: neither factor carries the scale alone.
    np.testing.assert_allclose((left**2).sum(axis=0), (right**2).sum(axis=1), rtol=1e-6)


def test_ranks_by_energy_and_by_ratio() -> None:
    matrix = np.diag([4.0, 2.0, 1.0, 1.0])
    found = decompose(matrix, macs_by_rank=8, macs_before=16)
    np.testing.assert_allclose(found.kept, [16 / 22, 20 / 22, 21 / 22, 1])
    assert [found.rank_of_energy(share) for share in (0.5, 16 / 22, 0.9, 1.0)] == [1, 1, 2, 4]
    assert [found.rank_of_ratio(ratio) for ratio in (0.1, 0.5, 1.0)] == [1, 1, 2]
    assert [found.saves(rank) for rank in (1, 2)] == [True, False]


def test_knowing_the_inputs_serves_the_outputs_better_than_knowing_the_weights() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((30, 20))
    inputs = rng.standard_normal((400, 30)) * np.geomspace(10, 0.01, 30)
    wanted = inputs @ matrix
    errors = []
    for moment in (None, SecondMoment.of(inputs)):
        left, right = decompose(matrix, **_macs(matrix), moment=moment).factors(6)
        errors.append(float(((inputs @ left @ right - wanted) ** 2).sum()))
    assert errors[1] < 0.2 * errors[0]
    best = (np.linalg.svd(wanted, compute_uv=False)[6:] ** 2).sum()
    assert errors[1] == pytest.approx(best, rel=0.05)


def test_inputs_that_are_one_another_leave_factors_that_are_finite() -> None:
    rows = np.repeat(drawn(20, 4), 6, axis=1).astype(np.float64)
    matrix = drawn(24, 24, seed=1).astype(np.float64)
    for moment in (SecondMoment.of(rows), SecondMoment.empty(24), SecondMoment(np.full((24, 24), np.nan), 3)):
        left, right = decompose(matrix, **_macs(matrix), moment=moment).factors(24)
        np.testing.assert_allclose(left @ right, matrix, atol=1e-5)


@pytest.mark.parametrize("is_transposed", [True, False])
def test_a_product_of_low_rank_is_cut_exactly(tmp_path: Path, is_transposed: bool) -> None:
    weight = _of_rank(4, 48, 32)
    bias = drawn(32, seed=7)
    model = gemm_model(tmp_path / "m.onnx", weight.T if is_transposed else weight, bias, transB=int(is_transposed))
    made, report = applied(LowRank(energy=0.99999), model)
    assert op_types(made) == ["MatMul", "Gemm"]
    assert [values.shape for name, values in sorted(stored(made).items()) if name != "b"] == [(48, 4), (4, 32)]
    x = drawn(5, 48, seed=2)
    np.testing.assert_allclose(run(made, x=x), run(model, x=x), rtol=1e-3, atol=1e-3)
    assert "'w' matrix rank 4 of 32 (320 of 1,536 multiply-accumulates a position" in report.notes[0]
    assert report.notes[1].startswith("the model needs 320 multiply-accumulates, 1,536 before")


def test_scales_of_gemm_and_its_transposed_input_are_kept(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transA=1, alpha=0.5, beta=2.0)]
    weights = [tensor("w", _of_rank(3, 24, 20)), tensor("b", drawn(20))]
    model = saved(tmp_path / "m.onnx", nodes, {"x": [24, 6]}, {"y": [6, 20]}, weights)
    made, _report = applied(LowRank(rank=3), model)
    x = drawn(24, 6, seed=2)
    np.testing.assert_allclose(run(made, x=x), run(model, x=x), rtol=1e-3, atol=1e-3)


_CONVOLUTIONS = [
    {"pads": [1, 1, 1, 1]},
    {"strides": [2, 2], "pads": [1, 0, 2, 1]},
    {"dilations": [2, 1], "strides": [1, 2]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 1]},
    {"auto_pad": "VALID"},
]


@pytest.mark.parametrize("attributes", _CONVOLUTIONS)
@pytest.mark.parametrize("way", ["channel", "spatial"])
def test_a_convolution_of_low_rank_is_cut_exactly(tmp_path: Path, way: str, attributes: dict[str, Any]) -> None:
    if way == "channel":
        weight = (drawn(16, 2) @ drawn(2, 8 * 9, seed=1)).reshape(16, 8, 3, 3)
    else:
        weight = np.einsum("iyr,rox->oiyx", drawn(8, 3, 2), drawn(2, 16, 3, seed=1))
    model = conv_weights_model(tmp_path / "m.onnx", weight, **attributes)
    made, report = applied(LowRank(energy=0.99999, conv=way), model)
    assert op_types(made) == ["Conv", "Conv"]
    x = drawn(2, 8, 9, 9, seed=3)
    np.testing.assert_allclose(run(made, x=x), run(model, x=x), rtol=1e-3, atol=1e-3)
    assert f"'w' {way} rank 2 of" in report.notes[0]


def test_the_better_way_is_taken(tmp_path: Path) -> None:
    spatial = np.einsum("iyr,rox->oiyx", drawn(8, 3, 1), drawn(1, 16, 3, seed=1))
    made, report = applied(LowRank(energy=0.999), conv_weights_model(tmp_path / "m.onnx", spatial))
    assert "'w' spatial rank 1" in report.notes[0]
    assert [values.shape for name, values in sorted(stored(made).items()) if name != "b"] == [
        (1, 8, 3, 1),
        (16, 1, 1, 3),
    ]
    channel = (drawn(16, 2) @ drawn(2, 8 * 9, seed=1)).reshape(16, 8, 3, 3)
    _made, report = applied(LowRank(ratio=0.2), conv_weights_model(tmp_path / "c.onnx", channel))
    assert "'w' channel rank 2" in report.notes[0]


def test_one_dimensional_and_pointwise_convolutions_are_cut(tmp_path: Path) -> None:
    weight = _of_rank(3, 32, 24).reshape(32, 24, 1, 1)
    model = conv_weights_model(tmp_path / "m.onnx", weight, size=4)
    made, _report = applied(LowRank(rank=3), model)
    x = drawn(1, 24, 4, 4)
    np.testing.assert_allclose(run(made, x=x), run(model, x=x), rtol=1e-3, atol=1e-3)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], strides=[2])]
    flat = tensor("w", _of_rank(3, 32, 24).reshape(32, 8, 3))
    line = saved(tmp_path / "line.onnx", nodes, {"x": [1, 8, 11]}, {"y": [1, 32, 5]}, [flat])
    made, _report = applied(LowRank(rank=3), line)
    x = drawn(1, 8, 11)
    np.testing.assert_allclose(run(made, x=x), run(line, x=x), rtol=1e-3, atol=1e-3)


def test_a_half_of_the_work_is_left_when_asked_for(tmp_path: Path) -> None:
    model = matmul_model(tmp_path / "m.onnx", drawn(64, 64))
    made, report = applied(LowRank(ratio=0.5), model)
    assert stored(made)["w_first"].shape == (64, 16)
    assert "2,048 of 4,096" in report.notes[0]
    x = drawn(4, 64, seed=1)
    assert sqnr_db(run(model, x=x), run(made, x=x)) > 1


def test_what_would_save_nothing_stays_whole(tmp_path: Path) -> None:
    with pytest.raises(CompressionInputError) as caught:
        applied(LowRank(), matmul_model(tmp_path / "m.onnx", drawn(16, 16)))
    assert caught.value.reason == "nothing_to_factor"
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "v"], ["y"])]
    weights = [tensor("w", _of_rank(2, 16, 16)), tensor("v", drawn(16, 16, seed=4))]
    model = saved(tmp_path / "two.onnx", nodes, {"x": [1, 16]}, {"y": [1, 16]}, weights)
    made, report = applied(LowRank(), model)
    assert set(stored(made)) == {"v", "w_first", "w_second"}
    assert "left as it was: 'v' (two factors would need as many multiply-accumulates)" in report.notes


def test_groups_left_operands_and_stacks_stay_whole_with_their_reasons(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["a", "x"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["g"]),
        helper.make_node("MatMul", ["g", "stack"], ["y"]),
    ]
    weights = [
        tensor("a", _of_rank(2, 16, 16)),
        tensor("w", _of_rank(2, 16, 16)),
        tensor("stack", _of_rank(2, 32, 16).reshape(2, 16, 16)),
    ]
    model = saved(tmp_path / "m.onnx", nodes, {"x": [16, 16]}, {"y": [2, 16, 16]}, weights)
    _made, report = applied(LowRank(), model)
    assert "left as it was: 'a' (it stands on the left of its product)" in report.notes
    assert "left as it was: 'stack' (a stack of matrices)" in report.notes
    grouped = conv_weights_model(tmp_path / "g.onnx", drawn(8, 4, 3, 3), group=2)
    with pytest.raises(CompressionInputError):
        applied(LowRank(rank=1), grouped)


def test_a_weight_that_two_products_share_is_cut_once_and_branches_are_cut(tmp_path: Path) -> None:
    model = shared_model(tmp_path / "m.onnx", _of_rank(2, 16, 16))
    made, _report = applied(LowRank(energy=0.99999), model)
    assert op_types(made) == ["MatMul"] * 4
    assert set(stored(made)) == {"w_first", "w_second"}
    x = drawn(3, 16, seed=5)
    np.testing.assert_allclose(run(made, x=x), run(model, x=x), rtol=1e-2, atol=1e-2)
    branches = branch_model(tmp_path / "b.onnx", _of_rank(2, 16, 20), _of_rank(2, 16, 20, seed=3))
    made, report = applied(LowRank(energy=0.9999, keep=("outer",)), branches)
    for sign in (1, -1):
        x = sign * np.abs(drawn(2, 16, seed=3))
        np.testing.assert_allclose(run(made, x=x), run(branches, x=x), rtol=1e-2, atol=1e-2)
    assert any("keep" in note for note in report.notes)


def test_calibration_data_makes_the_factors_better_on_data_like_it(tmp_path: Path) -> None:
    model = matmul_model(tmp_path / "m.onnx", drawn(40, 40))
    scales = np.geomspace(10, 0.01, 40).astype(np.float32)
    samples, others = drawn(100, 40, seed=1) * scales, drawn(50, 40, seed=2) * scales
    wanted = run(model, x=others)
    plain = sqnr_db(wanted, run(applied(LowRank(rank=8), model)[0], x=others))
    step = LowRank(rank=8, data_aware=True)
    aware = sqnr_db(wanted, run(applied(step, model, samples)[0], x=others))
    assert aware > plain + 6
    assert step.needs_calibration
    assert not LowRank().needs_calibration
    with pytest.raises(CompressionInputError, match="calibration split"):
        applied(step, model)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    model = matmul_model(tmp_path / "m.onnx", drawn(40, 40))
    first = applied(LowRank(ratio=0.5), model)[0].read_bytes()
    assert applied(LowRank(ratio=0.5), model)[0].read_bytes() == first


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"energy": 0}, "0.01 to 1"),
        ({"energy": 0.5, "rank": 3}, "energy and rank"),
        ({"ratio": 0.5, "rank": 3}, "ratio and rank"),
        ({"rank": -1}, "0 or more"),
        ({"conv": "both"}, "spatial"),
        ({"data_aware": 1}, "true or false"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        LowRank(**settings)
