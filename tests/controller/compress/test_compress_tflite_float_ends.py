"""Heads of TFLite models and what moves their values stay in float; classifiers lose no layer by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.compress.tflite.float_ends import float_ends
from steelyard.compress.tflite.quantizer import computing_operators, reads_quantized
from tests.controller.compress.tflite_running import applied, graph_of, images, outputs, sqnr_db
from tests.support.tflite_nets import NO_ACTIVATION, Net, mobile_net, weights

_SHAPE = (8, 8, 3)


def _heads(path: Path, *, background: float = 0.0) -> Path:
    """Write a convolution with two heads, whose maps are put side by side; one lies around ``-background``."""
    rng, net = np.random.default_rng(0), Net()
    image = net.tensor("image", (1, *_SHAPE))
    body = net.conv(image, weights(rng, 8, 3, 3, 3))
    near = net.conv(body, weights(rng, 1, 1, 1, 8), activation=NO_ACTIVATION, name="near")
    far_weight = weights(rng, 1, 1, 1, 8) * np.float32(1.0 + background)
    far = net.conv(body, far_weight, activation=NO_ACTIVATION, name="far")
    both = net.tensor("both", (1, 8, 8, 2))
    net.operator("CONCATENATION", [near, far], [both], "ConcatenationOptions", axis=3)
    return net.write(path, [image], [both])


def test_heads_and_what_moves_their_values_are_the_ends(tmp_path: Path) -> None:
    assert float_ends(graph_of(_heads(tmp_path / "m.tflite"))) == ("near", "far", "both")
    assert float_ends(graph_of(mobile_net(tmp_path / "n.tflite"))) == ()


def test_the_body_computes_in_8_bits_and_the_heads_do_not(tmp_path: Path) -> None:
    made, _ = applied(StaticInt8(), _heads(tmp_path / "m.tflite"), images(shape=_SHAPE))
    graph = graph_of(made)
    found = [(graph.kind(one), reads_quantized(graph, one)) for one in computing_operators(graph)]
    assert found == [("CONV_2D", True), ("CONV_2D", False), ("CONV_2D", False), ("CONCATENATION", False)]


def test_a_small_head_beside_a_large_one_keeps_its_digits(tmp_path: Path) -> None:
    model = _heads(tmp_path / "m.tflite", background=1000.0)
    data = images(shape=_SHAPE)
    made, _ = applied(StaticInt8(), model, data)
    assert sqnr_db(outputs(model, data)[..., 0], outputs(made, data)[..., 0]) > 25
