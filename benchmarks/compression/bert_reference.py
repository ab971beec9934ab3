"""A second implementation of the BERT encoder in plain numpy, in float64, to hold the ONNX graph against.

Devlin et al. 2019; mean pooling and length one as in sentence-transformers. Written from the paper's formulas, and
without code in common with the graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.compression.bert_graph import BertShape, Weights

Floats = NDArray[np.float64]


def reference_embedding(weights: Weights, shape: BertShape, ids: NDArray[Any], mask: NDArray[Any]) -> Floats:
    """Return the embeddings float64 [B, WIDTH] of tokens int [B,T]; ``mask`` is 1 for a token, 0 for padding."""
    wide = {name: values.astype(np.float64) for name, values in weights.items()}
    embedded = wide["embeddings.word_embeddings.weight"][ids]
    embedded = embedded + wide["embeddings.position_embeddings.weight"][: ids.shape[1]]
    embedded = embedded + wide["embeddings.token_type_embeddings.weight"][0]
    hidden = _normal(embedded, wide, "embeddings.LayerNorm", shape)
    for layer in range(shape.layer_count):
        name = f"encoder.layer.{layer}"
        attended = _attention(hidden, mask, wide, f"{name}.attention", shape)
        hidden = _normal(hidden + attended, wide, f"{name}.attention.output.LayerNorm", shape)
        inner = _gelu(_linear(hidden, wide, f"{name}.intermediate.dense"))
        hidden = _normal(hidden + _linear(inner, wide, f"{name}.output.dense"), wide, f"{name}.output.LayerNorm", shape)
    mean = np.einsum("btw,bt->bw", hidden, mask) / mask.sum(axis=1, keepdims=True)
    embedding: Floats = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return embedding


def _attention(hidden: Floats, mask: NDArray[Any], weights: Any, name: str, shape: BertShape) -> Floats:
    batch, length, width = hidden.shape
    parts = (batch, length, shape.head_count, width // shape.head_count)
    query, key, value = (
        _linear(hidden, weights, f"{name}.self.{what}").reshape(parts) for what in ("query", "key", "value")
    )
    scores = np.einsum("bqhd,bkhd->bhqk", query, key) / np.sqrt(parts[3])
    scores = np.where(mask[:, None, None, :] == 1, scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    context = np.einsum("bhqk,bkhd->bqhd", shares, value).reshape(batch, length, width)
    return _linear(context, weights, f"{name}.output.dense")


def _linear(source: Floats, weights: Any, name: str) -> Floats:
    result: Floats = np.einsum("btw,ow->bto", source, weights[f"{name}.weight"], optimize=True)
    result += weights[f"{name}.bias"]
    return result


def _normal(source: Floats, weights: Any, name: str, shape: BertShape) -> Floats:
    centred = source - source.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + shape.layer_norm_epsilon)
    normal: Floats = centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return normal


def _gelu(source: Floats) -> Floats:
    from scipy.special import ndtr

    gated: Floats = source * ndtr(source)
    return gated
