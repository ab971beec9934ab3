"""A matrix product and the bias that follows it are one linear layer."""

from __future__ import annotations

from dataclasses import replace

from steelyard.train.lift.patterns.links import Links, replaced
from steelyard.train.lift.source import Operation, Source


def with_biases(source: Source) -> Source:
    """Return the graph with MatMul of a stored [IN, OUT] and Add of a stored [OUT] as a MatMul of three inputs."""
    links = Links(source)
    ends: dict[str, Operation] = {}
    for one in source.operations:
        weight = links.stored(one.inputs[1]) if one.op_type == "MatMul" else None
        if weight is None or weight.ndim != 2:
            continue
        adding = links.only_reader(one.outputs[0], "Add")
        bias = next((name for name in adding.inputs if name != one.outputs[0]), "") if adding is not None else ""
        stored = links.stored(bias)
        if adding is not None and stored is not None and stored.shape == weight.shape[1:]:
            ends[adding.outputs[0]] = replace(one, inputs=(*one.inputs, bias), outputs=adding.outputs)
    return replaced(source, ends)
