"""Attention that is spelled out: split into heads, product, scale, mask, Softmax, product, joined again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steelyard.train.lift.ops.attention import HEADS_OP
from steelyard.train.lift.patterns.links import Links, replaced
from steelyard.train.lift.source import Operation, Source

_HEADS_FIRST, _KEYS_TURNED, _LAST_TURNED = [0, 2, 1, 3], [0, 2, 3, 1], [0, 1, 3, 2]
_OF_THREE_TURNED = [0, 2, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scores:
    product: Operation
    scale: float
    mask: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heads:
    values: str
    count: int
    scale: float


def with_attention(source: Source) -> Source:
    """Return the graph with each attention over heads of [B,T,WIDTH] as one operation."""
    links = Links(source)
    ends: dict[str, Operation] = {}
    for one in source.operations:
        found = _attention(links, one) if one.op_type == "Softmax" else None
        if found is not None:
            ends[found.outputs[0]] = found
    return replaced(source, ends)


def _attention(links: Links, softmax: Operation) -> Operation | None:
    if softmax.attributes.get("axis", -1) not in (-1, 3):
        return None
    weighing = links.only_reader(softmax.outputs[0], "MatMul")
    scores = _scores(links, softmax.inputs[0])
    if weighing is None or weighing.inputs[0] != softmax.outputs[0] or scores is None:
        return None
    query = _heads(links, scores.product.inputs[0])
    key = _keys(links, scores.product.inputs[1])
    value = _heads(links, weighing.inputs[1])
    end = _joined(links, weighing.outputs[0])
    if query is None or key is None or value is None or end is None:
        return None
    if not query.count == key.count == value.count or value.scale != 1.0:
        return None
    return Operation(
        op_type=HEADS_OP,
        name=softmax.name,
        inputs=(query.values, key.values, value.values, scores.mask),
        outputs=end.outputs,
        attributes={"head_count": query.count, "scale": scores.scale * query.scale * key.scale},
    )


def _scores(links: Links, name: str) -> _Scores | None:
    """Return the product of queries and keys, what scales it, and the mask that is added last ("" for none)."""
    adding = links.maker(name, "Add")
    if adding is None:
        return _scaled_product(links, name, mask="")
    for scores, mask in (adding.inputs, reversed(adding.inputs)):
        found = _scaled_product(links, scores, mask=mask)
        if found is not None:
            return found
    return None


def _scaled_product(links: Links, name: str, *, mask: str) -> _Scores | None:
    name, scale = _unscaled(links, name)
    product = links.maker(name, "MatMul")
    return None if product is None else _Scores(product=product, scale=scale, mask=mask)


def _unscaled(links: Links, name: str) -> tuple[str, float]:
    """Return what a value is a multiple of, and the factor."""
    scale = 1.0
    while (scaling := links.maker(name, "Mul", "Div")) is not None:
        pair = links.with_number(scaling)
        if pair is None or (scaling.op_type == "Div" and pair[0] != scaling.inputs[0]):
            break
        name = pair[0]
        scale = scale * pair[1] if scaling.op_type == "Mul" else scale / pair[1]
    return name, scale


def _heads(links: Links, name: str, order: list[int] = _HEADS_FIRST) -> _Heads | None:
    """Return [B,T,WIDTH] that a value [B,H,T,D] was made of."""
    name, scale = _unscaled(links, name)
    turning = links.maker(name, "Transpose")
    splitting = links.maker(turning.inputs[0], "Reshape") if turning is not None else None
    if turning is None or splitting is None or turning.attributes.get("perm") != order:
        return None
    shape = _shape(links, splitting)
    if len(shape) != 4 or not isinstance(shape[2], int) or shape[2] < 1:
        return None
    values, more = _unscaled(links, splitting.inputs[0])
    return _Heads(values=values, count=shape[2], scale=scale * more)


def _keys(links: Links, name: str) -> _Heads | None:
    """Return the same of keys, whose last two axes are swapped: in one Transpose or in a second."""
    found = _heads(links, name, _KEYS_TURNED)
    if found is not None:
        return found
    name, scale = _unscaled(links, name)
    turned = _last_turned(links, name)
    inner = _heads(links, turned) if turned is not None else None
    return None if inner is None else _Heads(values=inner.values, count=inner.count, scale=inner.scale * scale)


def _last_turned(links: Links, name: str) -> str | None:
    """Return what a value is with its last two axes swapped: by itself, or as torch's exporter has it in three axes."""
    turning = links.maker(name, "Transpose")
    if turning is not None:
        return turning.inputs[0] if turning.attributes.get("perm") == _LAST_TURNED else None
    parting = links.maker(name, "Reshape")
    turning = links.maker(parting.inputs[0], "Transpose") if parting is not None else None
    joining = links.maker(turning.inputs[0], "Reshape") if turning is not None else None
    if parting is None or turning is None or joining is None or turning.attributes.get("perm") != _OF_THREE_TURNED:
        return None
    # Batch and heads side by side.
    joined = _shape(links, joining)
    return joining.inputs[0] if len(joined) == 3 and joined[0] == -1 else None


def _joined(links: Links, name: str) -> Operation | None:
    """Return the Reshape that puts heads side by side."""
    turning = links.only_reader(name, "Transpose")
    if turning is None or turning.attributes.get("perm") != _HEADS_FIRST:
        return None
    joining = links.only_reader(turning.outputs[0], "Reshape")
    return joining if joining is not None and len(_shape(links, joining)) == 3 else None


def _shape(links: Links, reshape: Operation) -> list[Any]:
    """Return the shape of a Reshape, None for a size that is computed; [] where its length is not known."""
    if "shape" in reshape.attributes:
        return list(reshape.attributes["shape"])
    stored = links.stored(reshape.inputs[1])
    if stored is not None:
        return [int(one) for one in stored]
    joining = links.maker(reshape.inputs[1], "Concat")
    if joining is None:
        return []
    parts = [links.stored(name) for name in joining.inputs]
    return [int(part.reshape(-1)[0]) if part is not None and part.size == 1 else None for part in parts]
