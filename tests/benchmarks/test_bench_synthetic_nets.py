"""Networks drawn by chance: the same ones again, of a bounded size, that load and run."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from benchmarks.compression.synthetic_nets import LEAST_MACS, MOST_MACS, synthetic_net

from steelyard.layers.onnx_layers import onnx_layers

FAMILIES = 11


@pytest.mark.parametrize("seed", range(FAMILIES))
def test_a_network_of_each_family_runs(seed: int) -> None:
    net = synthetic_net(seed)
    session = onnxruntime.InferenceSession(net.model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = np.random.default_rng(0).standard_normal(net.input_shape).astype(np.float32)
    (made,) = session.run(None, {"x": given})
    assert np.isfinite(made).all()
    assert np.ptp(made) > 0


def test_families_take_turns_and_draws_are_bounded() -> None:
    nets = [synthetic_net(seed) for seed in range(2 * FAMILIES)]
    assert len({net.family for net in nets[:FAMILIES]}) == FAMILIES
    assert [net.family for net in nets[FAMILIES:]] == [net.family for net in nets[:FAMILIES]]
    for net in nets:
        counted = onnx_layers(net.model, input_shapes={}, batch_size=1)
        assert counted.mac_count is not None
        assert LEAST_MACS <= counted.mac_count <= MOST_MACS


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    one, again, other = (synthetic_net(seed).model.SerializeToString() for seed in (3, 3, 14))
    assert one == again
    assert one != other
