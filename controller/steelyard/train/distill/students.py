"""Students that are made from a teacher by leaving out some of its repeated blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from steelyard.train.errors import TrainingInputError

if TYPE_CHECKING:
    from torch import fx

    from steelyard.train.lift.lifted import LiftedModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """What lies between two values of one shape in a traced graph: ``begin`` can come in the place of ``end``."""

    begin: fx.Node
    end: fx.Node


def shortened(lifted: LiftedModel, share: float) -> tuple[LiftedModel, str]:
    """Return a copy of a model with a share of each run of alike blocks, spread evenly, and what was done.

    The first of a run stays always (DistilBERT takes one layer of two: Sanh et al. 2019).

    Raises:
        TrainingInputError: no_blocks: the model repeats none.
    """
    import copy

    module = copy.deepcopy(lifted.module)
    runs = repeated_blocks(dataclasses.replace(lifted, module=module))
    if not runs:
        raise TrainingInputError(
            "no_blocks",
            f"layers = {share:g} keeps a share of alike blocks, and the model has none that follow each other; leave "
            "it out: width and prune make such a model smaller",
        )
    before = sum(len(run) for run in runs)
    kept_count = 0
    for run in runs:
        kept = set(kept_places(len(run), share))
        kept_count += len(kept)
        for place in reversed(range(len(run))):
            if place not in kept:
                run[place].end.replace_all_uses_with(run[place].begin)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()
    layers = {child: name for child, name in lifted.layers.items() if hasattr(module, child)}
    made = dataclasses.replace(lifted, module=module.eval(), layers=layers)
    return made, f"{kept_count} of {before} blocks were kept"


def kept_places(count: int, share: float) -> tuple[int, ...]:
    """Return which of ``count`` blocks stay: the first, and others spread evenly."""
    kept = max(1, round(share * count))
    return tuple(place * count // kept for place in range(kept))


def repeated_blocks(lifted: LiftedModel) -> list[list[Block]]:
    """Return the runs of blocks that are alike: the same operations in order, from a value to one of its shape.

    A block ends at a value through which all goes that comes from the first input, and holds a layer: two sums of
    embeddings one behind the other are no blocks.
    """
    nodes, shapes = _shapes(lifted)
    cuts = _cuts(nodes)
    spans = [_span(nodes, one, other, shapes) for one, other in pairwise(cuts)]
    runs: list[list[Block]] = []
    place = 0
    while place < len(spans):
        period, count = _best_period(spans, cuts, place, shapes)
        if count > 1 and any(op == "call_module" for span in spans[place : place + period] for op, *_ in span):
            ends = [place + period * number for number in range(count + 1)]
            runs.append([Block(begin=cuts[one], end=cuts[other]) for one, other in pairwise(ends)])
        place += period * count
    return runs


def _best_period(
    spans: Sequence[tuple[Any, ...]], cuts: Sequence[fx.Node], place: int, shapes: dict[fx.Node, Any]
) -> tuple[int, int]:
    """Return the length and the number of the alike blocks that begin here and cover most; (1, 1) for none."""
    best = (1, 1)
    for period in range(1, (len(spans) - place) // 2 + 1):
        first = spans[place : place + period]
        count = 1
        while spans[place + count * period : place + (count + 1) * period] == first:
            count += 1
        keeps_shape = shapes[cuts[place]] == shapes[cuts[place + period]]
        if count > 1 and keeps_shape and period * count > best[0] * best[1]:
            best = (period, count)
    return best


def _shapes(lifted: LiftedModel) -> tuple[list[fx.Node], dict[fx.Node, Any]]:
    """Return the nodes that hang on the first input, in order, and the shape of what each gives."""
    from steelyard.train.export.example import as_arguments, example_feed, interface_of
    from steelyard.train.lift.recording import values_of

    interface = interface_of(lifted)
    shapes = values_of(lifted.module, as_arguments(interface, example_feed(interface)), kept=_shapes_in)
    graph_nodes = list(lifted.module.graph.nodes)
    hanging = {next(node for node in graph_nodes if node.op == "placeholder")}
    for node in graph_nodes:
        if shapes[node] and any(one in hanging for one in node.all_input_nodes):
            hanging.add(node)
    return [node for node in graph_nodes if node in hanging], shapes


def _shapes_in(value: Any) -> list[tuple[int, ...]]:
    """Return the shapes of the tensors in a value: sizes are read off values, too, and bind nothing."""
    import torch

    parts = value if isinstance(value, tuple | list) else (value,)
    return [tuple(one.shape) for one in parts if isinstance(one, torch.Tensor)]


def _cuts(nodes: Sequence[fx.Node]) -> list[fx.Node]:
    """Return the nodes through which every way from the first of ``nodes`` to the last one goes."""
    places = {node: place for place, node in enumerate(nodes)}
    # The furthest node that reads anything before a place.
    cuts, furthest = [], 0
    for place, node in enumerate(nodes[:-1]):
        if furthest <= place:
            cuts.append(node)
        readers = [places[user] for user in node.users if user in places]
        furthest = max([furthest, *readers])
    return cuts


def _span(nodes: Sequence[fx.Node], begin: fx.Node, end: fx.Node, shapes: dict[fx.Node, Any]) -> tuple[Any, ...]:
    """Return what lies behind ``begin`` up to ``end`` as something that alike spans have in common."""
    first, last = nodes.index(begin), nodes.index(end)
    return tuple((node.op, _what(node), shapes[node]) for node in nodes[first + 1 : last + 1])


def _what(node: fx.Node) -> str:
    if node.op != "call_module":
        return str(node.target)
    module = node.graph.owning_module.get_submodule(node.target)
    return f"{type(module).__name__} {[tuple(one.shape) for one in module.parameters()]}"
