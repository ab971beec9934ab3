"""LayerNorm that is spelled out: exporters before opset 17 write nine operators for it."""

from __future__ import annotations

from steelyard.train.lift.patterns.links import Links, replaced
from steelyard.train.lift.source import Operation, Source

_SQUARE = 2.0


def with_layer_norms(source: Source) -> Source:
    """Return the graph with (x - mean) / sqrt(variance + epsilon) * scale + bias as LayerNormalization."""
    links = Links(source)
    ends: dict[str, Operation] = {}
    for one in source.operations:
        found = _layer_norm(links, one) if one.op_type == "Add" else None
        if found is not None:
            ends[one.outputs[0]] = found
    return replaced(source, ends)


def _layer_norm(links: Links, end: Operation) -> Operation | None:
    for moved, bias in (end.inputs, reversed(end.inputs)):
        scaling = links.maker(moved, "Mul")
        if scaling is None or not _is_vector(links, bias):
            continue
        for normal, scale in (scaling.inputs, reversed(scaling.inputs)):
            dividing = links.maker(normal, "Div")
            if dividing is None or not _is_vector(links, scale):
                continue
            found = _normalized(links, dividing)
            if found is not None:
                values, epsilon = found
                return Operation(
                    op_type="LayerNormalization",
                    name=dividing.name,
                    inputs=(values, scale, bias),
                    outputs=end.outputs,
                    attributes={"axis": -1, "epsilon": epsilon},
                )
    return None


def _is_vector(links: Links, name: str) -> bool:
    stored = links.stored(name)
    return stored is not None and stored.ndim == 1


def _normalized(links: Links, dividing: Operation) -> tuple[str, float] | None:
    """Return what is normalized and the epsilon, of a Div of the moved values by their deviation."""
    values = _centered(links, dividing.inputs[0])
    root = links.maker(dividing.inputs[1], "Sqrt")
    adding = links.maker(root.inputs[0], "Add") if root is not None else None
    variance = links.with_number(adding) if adding is not None else None
    if values is None or variance is None:
        return None
    mean = _last_mean(links, variance[0])
    squaring = links.maker(mean, "Pow", "Mul") if mean is not None else None
    if squaring is None or _centered(links, squaring.inputs[0]) != values:
        return None
    is_square = (
        links.number(squaring.inputs[1]) == _SQUARE if squaring.op_type == "Pow" else len({*squaring.inputs}) == 1
    )
    return (values, variance[1]) if is_square else None


def _centered(links: Links, name: str) -> str | None:
    """Return x where the value is x less its mean over the last axis."""
    subtracting = links.maker(name, "Sub")
    if subtracting is None:
        return None
    values, mean = subtracting.inputs
    return values if _last_mean(links, mean) == values else None


def _last_mean(links: Links, name: str) -> str | None:
    """Return what a ReduceMean over the last axis reads; axes are an input from opset 18 on."""
    reducing = links.maker(name, "ReduceMean")
    if reducing is None or not reducing.attributes.get("keepdims", 1):
        return None
    axes = reducing.attributes.get("axes")
    stored = links.stored(reducing.inputs[1]) if len(reducing.inputs) > 1 else None
    axes = stored.reshape(-1).tolist() if stored is not None else axes
    return reducing.inputs[0] if axes is not None and list(axes) == [-1] else None
