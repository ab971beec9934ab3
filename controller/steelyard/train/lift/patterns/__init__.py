"""Groups of operators that are one layer: found before lifting, and put into one operation each."""

from __future__ import annotations

from steelyard.train.lift.patterns.attention import with_attention
from steelyard.train.lift.patterns.layer_norm import with_layer_norms
from steelyard.train.lift.patterns.linear import with_biases
from steelyard.train.lift.source import Source


def with_patterns(source: Source) -> Source:
    """Return the model with linear layers, LayerNorm and attention as one operation each."""
    for find in (with_biases, with_layer_norms, with_attention):
        source = find(source)
    return source
