"""Groups of operators that are one layer: found before lifting, and put into one operation each."""

from __future__ import annotations

from steelyard.train.lift.patterns.attention import with_attention
from steelyard.train.lift.patterns.layer_norm import with_layer_norms
from steelyard.train.lift.patterns.linear import with_biases
from steelyard.train.lift.source import Source


def with_patterns(source: Source, *, by_heads: bool = True) -> Source:
    """Return the model with linear layers, LayerNorm and (``by_heads``) attention as one operation each."""
    source = with_layer_norms(with_biases(source))
    return with_attention(source) if by_heads else source
