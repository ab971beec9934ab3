"""Attention that is spelled out, its heads moved about in whatever way, told by where the elements of layers go."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.train.lift.ops.attention import HeadAttention
from steelyard.train.lift.ops.elementwise import divided
from steelyard.train.prune.moves import Values, is_data, moved, path_back, path_on

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import fx

# Heads are [B,H,T,D], or [B*H,T,D].
_HEADED_RANKS = (3, 4)
_SEQUENCE_RANK = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Heads that come out of the linear layer ``path[0]``: ``channels`` [H,D] are its outputs that they are.

    ``path`` are the nodes that move them. ``steps_first``: the layer gives [T,B,OUT] and not [B,T,OUT]. ``flat_steps``:
    it gives [T*B,OUT] or [B*T,OUT], of so many steps; None: it does not. ``scale`` multiplied them on the way.
    """

    path: tuple[fx.Node, ...]
    channels: NDArray[np.int64]
    steps_first: bool
    flat_steps: int | None
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """The linear layer that reads the heads: ``order`` [IN] says which of [H*D], side by side, each of its inputs is.

    ``steps_first`` as in ``Projection``; ``is_flat``: it takes [B*T,IN] or [T*B,IN].
    """

    layer: fx.Node
    order: NDArray[np.int64]
    steps_first: bool
    is_flat: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """``product`` times ``scale``, and ``mask`` added to it, are what Softmax is given, by the nodes ``path``."""

    path: tuple[fx.Node, ...]
    scale: float
    mask: Any = None

    @property
    def product(self) -> fx.Node:
        """The product of queries and keys."""
        return self.path[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpelledAttention:
    """One attention; ``weighing`` is the product of what ``softmax`` gives with the values."""

    softmax: fx.Node
    weighing: fx.Node
    scores: Scores
    query: Projection
    key: Projection
    value: Projection
    joining: Joining

    @property
    def ends(self) -> tuple[fx.Node, ...]:
        """The two products of heads, and what is between them: its sizes and scales may be read off the heads."""
        return (*self.scores.path, self.softmax, self.weighing)

    @property
    def projections(self) -> tuple[Projection, Projection, Projection]:
        """Queries, keys and values."""
        return self.query, self.key, self.value


def has_attention(module: fx.GraphModule) -> bool:
    """Return whether anything in a module may be attention."""
    return any(_is_softmax(node) or _is_headed(module, node) for node in module.graph.nodes)


def spelled_attentions(module: fx.GraphModule, values: Values) -> Iterator[SpelledAttention]:
    """Yield each attention that is spelled out; ``values`` are what the module's nodes give on some inputs."""
    for node in module.graph.nodes:
        if _is_softmax(node):
            found = _attention(module, node, values)
            if found is not None and _owns_its_layers(found.projections, found.ends, values):
                yield found


def cut_products(module: fx.GraphModule, values: Values) -> Iterator[tuple[fx.Node, tuple[Projection, ...]]]:
    """Yield each attention that is a layer already and is given parts of one product, with these parts (H is 1)."""
    for node in module.graph.nodes:
        if not _is_headed(module, node):
            continue
        found = [_projection(module, one, values) for one in node.args[:3]]
        parts = tuple(one for one in found if one is not None and one.scale == 1.0)
        is_cut = len(parts) == len(found) and any(len(one.path) > 1 for one in parts)
        if is_cut and _owns_its_layers(parts, (node,), values):
            yield node, parts


def _is_softmax(node: fx.Node) -> bool:
    import torch

    return node.op == "call_function" and node.target is torch.softmax


def _is_headed(module: fx.GraphModule, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(module.get_submodule(node.target), HeadAttention)


def _attention(module: fx.GraphModule, softmax: fx.Node, values: Values) -> SpelledAttention | None:
    scores, weighing = _scores(softmax.args[0], values), _weighing(softmax, values)
    if scores is None or weighing is None or any(len(one.users) != 1 for one in scores.path):
        return None
    # Samples and heads on one axis: what is added to each of them is for no other count of heads.
    if values[softmax].dim() == _SEQUENCE_RANK and scores.mask is not None and values[scores.mask].dim() > 2:
        return None
    query = _projection(module, scores.product.args[0], values)
    key = _projection(module, scores.product.args[1], values, turned=True)
    value = _projection(module, weighing.args[1], values)
    if query is None or key is None or value is None or value.scale != 1.0:
        return None
    joining = _joining(module, weighing, values, head_count=len(value.channels))
    if joining is None or not len(query.channels) == len(key.channels) == len(value.channels):
        return None
    return SpelledAttention(
        softmax=softmax, weighing=weighing, scores=scores, query=query, key=key, value=value, joining=joining
    )


def _weighing(softmax: fx.Node, values: Values) -> fx.Node | None:
    """Return the product that alone reads a Softmax along the last axis."""
    rank = values[softmax].dim()
    readers = list(softmax.users)
    if rank not in _HEADED_RANKS or softmax.kwargs.get("dim") != rank - 1 or len(readers) != 1:
        return None
    return readers[0] if _is_product(readers[0]) and readers[0].args[0] is softmax else None


def _is_product(node: Any) -> bool:
    import torch

    return getattr(node, "op", "") == "call_function" and node.target is torch.matmul


def _scores(node: fx.Node, values: Values) -> Scores | None:
    import torch

    found = _scaled_product(node, values)
    if found is not None or node.op != "call_function" or node.target is not torch.add:
        return found
    for scores, mask in (node.args, node.args[::-1]):
        found = _scaled_product(scores, values)
        if found is not None and mask in values:
            return dataclasses.replace(found, path=(*found.path, node), mask=mask)
    return None


def _scaled_product(node: Any, values: Values) -> Scores | None:
    import torch

    scale, path = 1.0, [node]
    while not _is_product(node):
        if getattr(node, "op", "") != "call_function" or node.target not in (torch.mul, torch.div, divided):
            return None
        left, right = (_number(one, values) for one in node.args)
        if right:
            node, scale = node.args[0], scale * right if node.target is torch.mul else scale / right
        elif left and node.target is torch.mul:
            node, scale = node.args[1], scale * left
        else:
            return None
        path.insert(0, node)
    return Scores(path=tuple(path), scale=scale)


def _number(given: Any, values: Values) -> float | None:
    """Return a single number, stored or computed of sizes, None for anything else."""
    value = values.get(given, given)
    if isinstance(value, int | float):
        return float(value)
    return float(value) if hasattr(value, "numel") and value.numel() == 1 else None


def _projection(module: fx.GraphModule, operand: fx.Node, values: Values, *, turned: bool = False) -> Projection | None:
    """Return what heads come out of; ``turned``: their last two axes are swapped."""
    path = path_back(operand, values)
    if not path or not _is_linear(module, path[0]):
        return None
    found = moved(path, values)
    if found is None or found.places.ndim not in _HEADED_RANKS:
        return None
    places = found.places.swapaxes(-1, -2) if turned else found.places
    *rows, width = values[path[0]].shape
    for steps_first in (False, True):
        channels = _channels(places, rows, width, steps_first=steps_first)
        if channels is not None:
            flat_steps = places.shape[-2] if len(rows) == 1 else None
            return Projection(
                path=tuple(path),
                channels=channels,
                steps_first=steps_first,
                flat_steps=flat_steps,
                scale=found.scale,
            )
    return None


def _is_linear(module: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node calls a linear layer that nothing else calls, nor shares a weight with."""
    from torch import nn

    layer = module.get_submodule(node.target)
    if not isinstance(layer, nn.Linear) or sum(one.target == node.target for one in module.graph.nodes) != 1:
        return False
    own = {id(one) for one in layer.parameters()}
    others = (one for child in module.children() if child is not layer for one in child.parameters())
    return own.isdisjoint(id(one) for one in (*others, *module.parameters(recurse=False)))


def _channels(
    places: NDArray[np.int64], rows: Sequence[int], width: int, *, steps_first: bool
) -> NDArray[np.int64] | None:
    """Return the channels [H,D] of a layer that stand in heads, where each sample and step has its own, and alike."""
    steps, size = places.shape[-2:]
    batch, over = divmod(int(np.prod(rows)), steps)
    shape = [steps, batch] if steps_first else [batch, steps]
    if over or places.size % (batch * steps * size) or (len(rows) > 1 and list(rows) != shape):
        return None
    row, channel = np.divmod(places.reshape(batch, -1, steps, size), width)
    found: NDArray[np.int64] = channel[0, :, 0, :]
    own = _rows(batch, steps, steps_first=steps_first)[:, None, :, None]
    if (row != own).any() or (channel != found[:, None, :]).any() or np.unique(found).size != found.size:
        return None
    return found


def _rows(batch: int, steps: int, *, steps_first: bool) -> NDArray[np.int64]:
    """Return [B,T]: the row of each sample and step where all are below each other."""
    rows = np.arange(batch * steps)
    return rows.reshape(steps, batch).T if steps_first else rows.reshape(batch, steps)


def _joining(module: fx.GraphModule, weighing: fx.Node, values: Values, *, head_count: int) -> Joining | None:
    path = path_on(weighing, values)
    found = moved(path[:-1], values) if path and _is_linear(module, path[-1]) else None
    if found is None or found.scale != 1.0 or found.places.ndim not in (2, _SEQUENCE_RANK):
        return None
    *headed, steps, size = values[weighing].shape
    batch, width = int(np.prod(headed)) // head_count, head_count * size
    if found.places.shape[-1] != width or found.places.size != batch * steps * width:
        return None
    sample, head, step, channel = np.unravel_index(found.places.reshape(-1, width), (batch, head_count, steps, size))
    order: NDArray[np.int64] = (head * size + channel)[0]
    if (head * size + channel != order).any() or np.unique(order).size != width:
        return None
    is_flat = found.places.ndim != _SEQUENCE_RANK
    for steps_first in (False, True):
        shape = (steps, batch) if steps_first else (batch, steps)
        own = _rows(batch, steps, steps_first=steps_first)[sample, step]
        if (is_flat or found.places.shape[:2] == shape) and (own == np.arange(batch * steps)[:, None]).all():
            return Joining(layer=path[-1], order=order, steps_first=steps_first, is_flat=is_flat)
    return None


def _owns_its_layers(parts: Sequence[Projection], ends: Sequence[fx.Node], values: Values) -> bool:
    """Return whether the nodes ``ends``, and nothing else, read what the layers of ``parts`` give, and all of it once.

    Sizes may be read off it, where they are for nothing else.
    """
    inside = {node for one in parts for node in one.path}
    pending = [user for one in parts for user in one.path[0].users]
    seen = set(ends)
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.op == "output" or (node not in inside and is_data(values[node])):
            return False
        pending += node.users
    read: dict[fx.Node, list[int]] = {}
    for one in parts:
        read.setdefault(one.path[0], []).extend(one.channels.flatten().tolist())
    return all(sorted(found) == list(range(values[layer].shape[-1])) for layer, found in read.items())
