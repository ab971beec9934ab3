"""The copy of a model with its layers as outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from steelyard.numeric import instrument
from steelyard.numeric.errors import NotCheckableError
from steelyard.numeric.instrument import with_layers
from tests.support.models import conv_model, linear_model


def outputs_of(content: bytes) -> list[str]:
    return [value.name for value in onnx.load_from_string(content).graph.output]


def test_layers_follow_the_models_own_outputs_in_its_order(tmp_path: Path) -> None:
    content = with_layers(conv_model(tmp_path / "m.onnx", depth=2), input_shapes={}, batch_size=1)
    names = outputs_of(content)
    assert names[0] == "logits"
    assert names[1:5] == ["conv0", "relu0", "conv1", "relu1"]


def test_the_copy_runs_and_gives_the_same_outputs_beside_its_layers(tmp_path: Path) -> None:
    import onnxruntime

    path = conv_model(tmp_path / "m.onnx", depth=2)
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(with_layers(path, input_shapes={}, batch_size=1))
    feed = {"image": np.random.default_rng(0).standard_normal((1, 1, 12, 12)).astype(np.float32)}
    plain = onnxruntime.InferenceSession(str(path)).run(None, feed)
    session = onnxruntime.InferenceSession(str(copy))
    layers = dict(zip((one.name for one in session.get_outputs()), session.run(None, feed), strict=True))
    np.testing.assert_allclose(layers["logits"], plain[0], rtol=1e-5)
    np.testing.assert_array_equal(layers["relu0"], np.maximum(layers["conv0"], 0))


def test_layers_end_where_the_bound_of_bytes_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = conv_model(tmp_path / "m.onnx", depth=3)
    monkeypatch.setattr(instrument, "_MOST_BYTES", 3 * 8 * 12 * 12 * 4)
    assert outputs_of(with_layers(path, input_shapes={}, batch_size=1)) == ["logits", "conv0", "relu0", "conv1"]


def test_what_follows_from_stored_tensors_alone_is_left_out(tmp_path: Path) -> None:
    path = linear_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.node.insert(0, onnx.helper.make_node("Identity", ["weight"], ["same_weight"]))
    model.graph.node.append(onnx.helper.make_node("Relu", ["logits"], ["positive"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("positive", 1, ["batch", 3]))
    del model.graph.output[0]
    onnx.save(model, path)
    assert outputs_of(with_layers(path, input_shapes={}, batch_size=1)) == ["positive", "logits"]


def test_a_model_of_one_layer_has_none_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(NotCheckableError, match="no layer"):
        with_layers(linear_model(tmp_path / "m.onnx"), input_shapes={}, batch_size=1)
