"""Which operators lead to the outputs of a model alone, in either format: a walk from the outputs backwards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An operator by its name and kind, with the names of what it reads and gives."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndKinds:
    """Kinds of operators of a format.

    ``moving``: give values on as they are, or select among them. ``decoding``: arithmetic. ``convolutions``: those
    whose kernels give no floats. ``layers``: everything with weights, convolutions among it.
    """

    moving: frozenset[str]
    decoding: frozenset[str]
    convolutions: frozenset[str]
    layers: frozenset[str]


def end_operators(operators: Sequence[Placed], outputs: Iterable[str], kinds: EndKinds) -> frozenset[str]:
    """Return the names of the operators, given in the order of the graph, whose results reach the outputs alone.

    They are moved, selected or decoded; of convolutions, whose results are moved or selected only. The convolutions are
    left out where no other layer would be left to quantize, as is arithmetic where there is no layer in front of it.
    """
    given = set(outputs)
    readers: dict[str, list[str]] = {}
    for one in operators:
        for name in one.inputs:
            readers.setdefault(name, []).append(one.name)
    moving: set[str] = set()
    decoding: set[str] = set()
    convolutions: set[str] = set()
    for one in reversed(operators):
        following: Collection[str] = [reader for name in one.outputs for reader in readers.get(name, [])]
        if not following and given.isdisjoint(one.outputs):
            continue
        if moving.issuperset(following) and one.kind in kinds.moving | kinds.convolutions:
            (moving if one.kind in kinds.moving else convolutions).add(one.name)
        elif (moving | decoding).issuperset(following) and one.kind in kinds.moving | kinds.decoding:
            decoding.add(one.name)
    layers = {one.name for one in operators if one.kind in kinds.layers}
    ends = moving | decoding if layers else moving
    return frozenset(ends | convolutions if layers - convolutions else ends)
