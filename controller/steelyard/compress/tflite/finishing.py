"""Give a TFLite variant its final bytes: without the traces that tools leave, the same for the same model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from steelyard.compress.tflite.flatbuffer_model import model_bytes, read_model

# What converters say of themselves and of the day; nothing that a runtime reads.
_TOOL_TRACES = frozenset({"CONVERSION_METADATA", "litert_quantizer", "ai_edge_quantizer"})


def final_bytes(path: Path) -> bytes:
    """Return the bytes of a model with all data inside of the flatbuffer, without unused buffers, codes and traces."""
    model = read_model(path)
    _drop_traces(model)
    _drop_unused_codes(model)
    drop_unused_buffers(model)
    return model_bytes(model)


def _drop_traces(model: Any) -> None:
    kept = [entry for entry in model.metadata or () if _text(entry.name) not in _TOOL_TRACES]
    # None instead of an empty vector: what is not there is not written.
    model.metadata = kept or None
    model.signatureDefs = list(model.signatureDefs or ()) or None


def _drop_unused_codes(model: Any) -> None:
    used = sorted({int(one.opcodeIndex) for graph in model.subgraphs for one in graph.operators or ()})
    places = {old: new for new, old in enumerate(used)}
    model.operatorCodes = [model.operatorCodes[old] for old in used]
    for graph in model.subgraphs:
        for operator in graph.operators or ():
            operator.opcodeIndex = places[int(operator.opcodeIndex)]


def drop_unused_buffers(model: Any) -> None:
    """Keep the buffers with data that something names, behind the empty one that must be the first."""
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    named = [int(tensor.buffer) for tensor in tensors] + [int(entry.buffer) for entry in model.metadata or ()]
    listed = [] if model.metadataBuffer is None else [int(index) for index in model.metadataBuffer]
    used = sorted({index for index in named + listed if index and _has_data(model.buffers[index])})
    places = {0: 0, **{old: new for new, old in enumerate(used, start=1)}}
    empty = type(model.buffers[0])()
    model.buffers = [empty, *(model.buffers[old] for old in used)]
    for one in [*tensors, *(model.metadata or ())]:
        one.buffer = places.get(int(one.buffer), 0)
    if model.metadataBuffer is not None:
        model.metadataBuffer = np.array([places.get(index, 0) for index in listed], np.int32)


def _has_data(buffer: Any) -> bool:
    return buffer.data is not None and len(buffer.data) > 0


def _text(name: Any) -> str:
    return "" if name is None else name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
