"""A planted imbalance changes the numbers of a model and not its answers; verdicts are read off intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from benchmarks.compression.imbalance import Seam, plant
from benchmarks.compression.repair import verdicts
from benchmarks.compression.repair_cases import CASES, RECIPES, RepairCase
from onnx import helper, numpy_helper

from steelyard.compress.recipe_text import load_recipe

_SEAMS = (
    Seam(givers=(("w0", "b0"), ("w1", "b1")), takers=("w2",)),
    Seam(givers=(("w2", "b2"),), takers=("w3",)),
)


def _model(path: Path) -> Path:
    """Write two convolutions whose outputs are added, a third one behind a Relu, and a Gemm behind a flattening."""
    rng = np.random.default_rng(0)
    shapes = {"w0": (8, 2, 3, 3), "w1": (8, 2, 1, 1), "w2": (4, 8, 3, 3), "w3": (5, 4 * 36)}
    tensors = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    tensors |= {f"b{name[1]}": rng.standard_normal(shape[0]) for name, shape in shapes.items()}
    same = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["y0"], **same),
        helper.make_node("Conv", ["x", "w1", "b1"], ["y1"]),
        helper.make_node("Add", ["y0", "y1"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["a"]),
        helper.make_node("Conv", ["a", "w2", "b2"], ["y2"], **same),
        helper.make_node("Flatten", ["y2"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["y"], transB=1),
    ]
    infos = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 2, 6, 6]), ("y", [1, 5]))
    ]
    stored = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "net", infos[:1], infos[1:], stored)
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def _weights(path: Path) -> dict[str, np.ndarray]:
    return {one.name: numpy_helper.to_array(one) for one in onnx.load_model(path).graph.initializer}


def test_a_planted_imbalance_scales_channels_and_leaves_the_answers(tmp_path: Path) -> None:
    source = _model(tmp_path / "m.onnx")
    planted = plant(source, tmp_path / "p.onnx", _SEAMS, ratio=1000.0, seed=1)
    x = np.random.default_rng(2).standard_normal((1, 2, 6, 6)).astype(np.float32)
    (before,), (after,) = (onnxruntime.InferenceSession(str(path)).run(None, {"x": x}) for path in (source, planted))
    np.testing.assert_allclose(after, before, atol=1e-4 * float(np.abs(before).max()))
    old, new = _weights(source), _weights(planted)
    factors = new["b0"] / old["b0"]
    np.testing.assert_allclose(new["w1"] / old["w1"], factors.reshape(-1, 1, 1, 1) * np.ones((1, 2, 1, 1)), rtol=1e-5)
    assert 3 < factors.max() / factors.min() <= 1000
    np.testing.assert_array_equal(new["b3"], old["b3"])


def test_the_same_seed_plants_the_same_and_a_ratio_of_one_nothing(tmp_path: Path) -> None:
    source = _model(tmp_path / "m.onnx")
    first, again = (plant(source, tmp_path / f"{name}.onnx", _SEAMS, ratio=9.0, seed=3) for name in "ab")
    assert first.read_bytes() == again.read_bytes()
    nothing = _weights(plant(source, tmp_path / "c.onnx", _SEAMS, ratio=1.0, seed=3))
    assert all(np.array_equal(nothing[name], values) for name, values in _weights(source).items())


def test_a_ratio_below_one_and_a_seam_with_one_side_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"0\.5 times"):
        plant(tmp_path / "m.onnx", tmp_path / "p.onnx", _SEAMS, ratio=0.5, seed=0)
    with pytest.raises(ValueError, match="both sides"):
        Seam(givers=(), takers=("w",))


def test_layers_with_a_planted_imbalance_are_counted_once() -> None:
    seams = (*_SEAMS, Seam(givers=(("w1", "b1"),), takers=("w3",)))
    assert RepairCase(name="net", model="net", seams=seams).planted_layers == 4


def test_every_case_has_a_name_of_its_own_and_every_recipe_is_one() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert [len(load_recipe(text).steps) for text in RECIPES.values()] == [1, 2, 2, 2, 3, 4, 2]


def _found(plain: list[float], equalized: list[float], fallback: list[float], in_float: int) -> dict[str, Any]:
    drops = {"int8": plain, "bias correction alone": plain, "equalize": equalized, "fallback alone": fallback}
    recipes = {
        name: {"drop_pp": drop, "layers": 27, "layers_in_float": in_float if "fallback" in name else 0}
        for name, drop in drops.items()
    }
    return {"case": "net", "planted_layers": 2, "recipes": recipes}


@pytest.mark.parametrize(
    ("fallback", "in_float", "word"),
    [([0.4, 0.1, 0.7], 5, "met"), ([0.4, 0.1, 0.7], 6, "missed"), ([0.9, 0.5, 1.3], 2, "undecided; run more rounds")],
)
def test_fallback_is_held_to_the_drop_and_to_the_share_in_float(
    fallback: list[float], in_float: int, word: str
) -> None:
    found = verdicts(_found([20.0, 19.0, 21.0], [0.2, -0.1, 0.5], fallback, in_float))
    assert found[0].startswith("net: met. Target: a repair brings it back to within 1 point; measured 20.00")
    assert found[0].endswith("with equalize. Within it: equalize.")
    assert found[1].startswith(f"net, fallback: {word}.")
    assert f"with {in_float} of 27, where the imbalance is in 2" in found[1]


def test_a_repair_that_does_not_suffice_misses_and_a_whole_model_needs_none() -> None:
    assert verdicts(_found([20.0, 19.0, 21.0], [3.0, 2.0, 4.0], [3.0, 2.0, 4.0], 1))[0].startswith("net: missed.")
    assert verdicts(_found([0.1, -0.2, 0.4], [0.1, 0.0, 0.2], [0.1, 0.0, 0.2], 0)) == [
        "net: int8 does not break it (0.10 (-0.20 to 0.40) pp)."
    ]
