"""The ONNX graph of a small random BERT agrees with a second implementation, padding included."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from benchmarks.compression.bert_graph import EMBEDDING, IDS, LOGITS, MASK, BertShape, LinearHead, Weights, bert_model
from benchmarks.compression.bert_reference import reference_embedding
from numpy.typing import NDArray

_WIDTH, _INNER, _WORDS, _PLACES = 24, 40, 50, 16
_SHAPE = BertShape(layer_count=2, head_count=3)


def _weights() -> Weights:
    rng = np.random.default_rng(7)

    def drawn(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": drawn(_WORDS, _WIDTH),
        "embeddings.position_embeddings.weight": drawn(_PLACES, _WIDTH),
        "embeddings.token_type_embeddings.weight": drawn(2, _WIDTH),
    }
    norms, linears = ["embeddings.LayerNorm"], {}
    for layer in range(_SHAPE.layer_count):
        name = f"encoder.layer.{layer}"
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
        for one in ("self.query", "self.key", "self.value", "output.dense"):
            linears[f"{name}.attention.{one}"] = (_WIDTH, _WIDTH)
        linears[f"{name}.intermediate.dense"] = (_INNER, _WIDTH)
        linears[f"{name}.output.dense"] = (_WIDTH, _INNER)
    for name in norms:
        found |= {f"{name}.weight": 1 + drawn(_WIDTH), f"{name}.bias": drawn(_WIDTH)}
    for name, shape in linears.items():
        found |= {f"{name}.weight": drawn(*shape), f"{name}.bias": drawn(shape[0])}
    return found


def _tokens() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ids = np.random.default_rng(8).integers(0, _WORDS, (4, 11))
    return ids, (np.arange(11) < np.array([[11], [7], [1], [10]])).astype(np.int64)


def _run(head: LinearHead | None, output: str) -> NDArray[np.float32]:
    ids, mask = _tokens()
    session = ort.InferenceSession(bert_model(_weights(), _SHAPE, head).SerializeToString())
    found: NDArray[np.float32] = session.run([output], {IDS: ids, MASK: mask})[0]
    return found


def test_embeddings_are_those_of_the_second_implementation() -> None:
    expected = reference_embedding(_weights(), _SHAPE, *_tokens())
    found = _run(None, EMBEDDING)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert np.abs(expected[0] - expected[1]).max() > 0.01


def test_what_stands_in_the_padding_changes_nothing() -> None:
    ids, mask = _tokens()
    other = np.where(mask == 1, ids, (ids + 1) % _WORDS)
    session = ort.InferenceSession(bert_model(_weights(), _SHAPE).SerializeToString())
    found = [session.run([EMBEDDING], {IDS: one, MASK: mask})[0] for one in (ids, other)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_the_head_is_linear_in_the_embedding() -> None:
    rng = np.random.default_rng(9)
    weight, bias = rng.normal(size=(2, _WIDTH)).astype(np.float32), np.array([0.25, -0.5], np.float32)
    expected = _run(None, EMBEDDING) @ weight.T + bias
    np.testing.assert_allclose(_run(LinearHead(weight=weight, bias=bias), LOGITS), expected, atol=1e-5)


def test_an_encoder_without_heads_is_refused() -> None:
    with pytest.raises(ValueError, match="2 layers with 0 heads"):
        BertShape(layer_count=2, head_count=0)
