"""Queries, keys and values out of one product, made a layer each: so heads can go.

Vision transformers mostly have them so, and ``torch.nn.MultiheadAttention`` has. Between the product and the attention
the heads are cut, unbound and turned in a dozen ways, steps first or samples first, and each exporter writes them
differently. So no form is looked for: see ``moves``.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from steelyard.train.export.example import BATCHES, Interface, as_arguments, example_feed, interface_of
from steelyard.train.lift.lifted import LiftedModel, TensorForm
from steelyard.train.lift.lifting import ONNX_NAME
from steelyard.train.lift.ops.attention import HeadAttention
from steelyard.train.lift.recording import values_of
from steelyard.train.prune.spelled_attention import (
    Joining,
    Projection,
    SpelledAttention,
    cut_products,
    has_attention,
    spelled_attentions,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import fx

_TOLERANCE = 1e-5


def with_heads_apart(lifted: LiftedModel) -> tuple[LiftedModel, str]:
    """Return a model that computes the same, with a layer each for queries, keys and values, and what was done.

    Each attention is a layer that knows its count of heads. Those that are so already, or do something else on the way,
    stay as they are; a model that has no other is returned itself, with "".
    """
    if not has_attention(lifted.module):
        return lifted, ""
    interface = interface_of(lifted)
    arguments = as_arguments(interface, example_feed(interface))
    module = copy.deepcopy(lifted.module).eval()
    values = values_of(module, arguments)
    # Samples and steps on one axis are told apart by a count of steps, which must be the model's own.
    takes_flat = all(isinstance(size, int) for one in lifted.inputs for size in one.shape[1:])
    spelled = [one for one in spelled_attentions(module, values) if takes_flat or not _is_flat(one.projections)]
    cut = [(node, parts) for node, parts in cut_products(module, values) if takes_flat or not _is_flat(parts)]
    if not spelled and not cut:
        return lifted, ""
    layers = dict(lifted.layers)
    for one in spelled:
        _put_in(module, one, layers)
    for attention, parts in cut:
        with module.graph.inserting_before(attention):
            attention.args = (*_projected(module, parts, layers), *attention.args[3:])
    _clean(module)
    parted = {part.path[0].target for one in spelled for part in one.projections}
    parted |= {part.path[0].target for _, parts in cut for part in parts}
    # What still reads a whole product would have it computed twice.
    if any(hasattr(module, name) for name in parted) or not _gives_the_same(module, lifted.module.eval(), interface):
        return lifted, ""
    layers = {child: name for child, name in layers.items() if hasattr(module, child)}
    count = len(spelled) + len(cut)
    products = f"{count} product{'' if count == 1 else 's'}"
    told = f"{products} of queries, keys and values taken apart, so that heads can go"
    return dataclasses.replace(lifted, module=module, layers=layers), told


def _gives_the_same(module: fx.GraphModule, whole: fx.GraphModule, interface: Interface) -> bool:
    """Return whether two modules give the same, also of other sizes of the axes that are open.

    Counts of steps, and scales that are computed of sizes, were read off one example; of no other size may they differ.
    """
    import torch

    with torch.no_grad():
        for arguments in _examples(interface):
            try:
                wanted = whole(*arguments)
            except (RuntimeError, IndexError):
                # It takes no such size: a table of positions is as long as it is.
                continue
            try:
                pairs = list(zip(_tensors(wanted), _tensors(module(*arguments)), strict=True))
            except RuntimeError:
                return False
            if not all(_agree(before, after) for before, after in pairs):
                return False
    return True


def _examples(interface: Interface) -> Iterator[tuple[Any, ...]]:
    """Yield arguments of the sizes that the model was lifted with, of other batches, and of other open sizes."""
    for batch in (None, *BATCHES) if interface.open_batch else (None,):
        yield as_arguments(interface, example_feed(interface, batch=batch))
    if any(not isinstance(size, int) for one in interface.inputs for size in one.shape[1:]):
        shorter = dataclasses.replace(interface, inputs=tuple(_shorter(one) for one in interface.inputs))
        yield as_arguments(shorter, example_feed(shorter))


def _shorter(form: TensorForm) -> TensorForm:
    """Return an input whose open axes behind the first have half the size."""
    pairs = zip(form.shape[1:], form.sample_shape[1:], strict=True)
    sizes = [size if isinstance(axis, int) else max(1, size // 2) for axis, size in pairs]
    return dataclasses.replace(form, sample_shape=(*form.sample_shape[:1], *sizes))


def _agree(before: Any, after: Any) -> bool:
    import torch

    if before.shape != after.shape or not before.is_floating_point() or not before.numel():
        return bool(torch.equal(before, after))
    most = _TOLERANCE * float(before.abs().nan_to_num(0, 0, 0).max())
    return bool(torch.allclose(after, before, rtol=0, atol=most, equal_nan=True))


def _is_flat(parts: Sequence[Projection]) -> bool:
    return any(one.flat_steps is not None for one in parts)


def _tensors(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, tuple | list) else (given,)


def _put_in(module: fx.GraphModule, found: SpelledAttention, layers: dict[str, str]) -> None:
    """Put layers for one attention into the graph, and let what joins its heads read them."""
    import torch

    graph, joining = module.graph, found.joining
    scale = found.scores.scale * found.query.scale * found.key.scale
    name = found.softmax.meta.get(ONNX_NAME, found.softmax.name)
    attention = _added(module, f"{found.softmax.name}_heads", HeadAttention(len(found.query.channels), scale=scale))
    layers[attention] = name
    with graph.inserting_before(found.weighing):
        made = graph.call_module(attention, (*_projected(module, found.projections, layers), found.scores.mask))
        if joining.steps_first:
            made = graph.call_function(torch.transpose, (made, 0, 1))
        if joining.is_flat:
            made = graph.call_function(torch.flatten, (made, 0, 1))
    _turn(module, joining)
    joining.layer.args = (made,)


def _projected(module: fx.GraphModule, parts: Sequence[Projection], layers: dict[str, str]) -> list[fx.Node]:
    """Add a layer for each of queries, keys and values, and return what gives them: [B,T,H*D]."""
    import torch

    found = []
    for part, role in zip(parts, ("query", "key", "value"), strict=True):
        whole = part.path[0]
        child = _added(
            module, f"{whole.target}_{role}", _rows_of(module.get_submodule(whole.target), part.channels.flatten())
        )
        layers[child] = layers.get(whole.target, whole.target)
        made = module.graph.call_module(child, whole.args)
        if part.flat_steps is not None:
            rows = (part.flat_steps, -1) if part.steps_first else (-1, part.flat_steps)
            made = module.graph.call_function(torch.unflatten, (made, 0, rows))
        found.append(module.graph.call_function(torch.transpose, (made, 0, 1)) if part.steps_first else made)
    return found


def _rows_of(layer: Any, rows: NDArray[np.int64]) -> Any:
    import torch
    from torch import nn

    chosen = torch.from_numpy(rows)
    made = nn.Linear(layer.in_features, len(rows), bias=layer.bias is not None, dtype=layer.weight.dtype)
    with torch.no_grad():
        made.weight.copy_(layer.weight[chosen])
        if layer.bias is not None:
            made.bias.copy_(layer.bias[chosen])
    return made


def _turn(module: fx.GraphModule, joining: Joining) -> None:
    """Let the layer that joins take the heads side by side."""
    import torch

    weight = module.get_submodule(joining.layer.target).weight
    with torch.no_grad():
        turned = torch.empty_like(weight)
        turned[:, torch.from_numpy(joining.order)] = weight
        weight.copy_(turned)


def _added(module: fx.GraphModule, name: str, layer: Any) -> str:
    while hasattr(module, name):
        name += "_"
    module.add_module(name, layer.eval())
    return name


def _clean(module: fx.GraphModule) -> None:
    """Take out what nothing reads any more: nodes, layers, stored numbers."""
    module.graph.eliminate_dead_code()
    read = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name, _ in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        if name not in read:
            delattr(module, name)
    module.delete_all_unused_submodules()
    module.recompile()
