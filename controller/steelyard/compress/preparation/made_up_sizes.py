"""Open sizes that shape inference gave a name of its own are not handed on with the model.

Two tensors whose open sizes bear the same made-up name count as equally large, so that onnxruntime (1.32) puts a sum
and the LayerNormalization behind it together, to a kernel that took 105 us where the two took 21 (64 x 384, x86): a
sentence classifier ran at 2.7 times the speed of float32 without these names, at 2.3 times with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto


def drop_made_up_sizes(model: ModelProto) -> int:
    """Take the shapes with sizes that no input or output names off inner tensors, in place; return of how many."""
    graph = model.graph
    known = {name for value in (*graph.input, *graph.output) for name in _named_sizes(value)}
    kept = [value for value in graph.value_info if _named_sizes(value) <= known]
    dropped = len(graph.value_info) - len(kept)
    if dropped:
        del graph.value_info[:]
        graph.value_info.extend(kept)
    return dropped


def _named_sizes(value: ValueInfoProto) -> set[str]:
    return {size.dim_param for size in value.type.tensor_type.shape.dim if size.dim_param}
