"""The groups of a module that can be pruned: torch-pruning's dependency graph, in units that go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.train.export.example import as_arguments, example_feed, interface_of
from steelyard.train.layer_patterns import layer_names, layers_matching
from steelyard.train.lift.lifted import LiftedModel
from steelyard.train.lift.ops.recurrent import Recurrent
from steelyard.train.prune.recurrent import is_followed, lstm_pruner, why_whole

if TYPE_CHECKING:
    from torch import fx, nn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChannelGroup:
    """All channels of the layer ``root``, with what hangs on them: ``full`` is torch-pruning's group of them.

    ``units`` are the channels that go together: one, the same one of each group of a grouped layer, or those of a head
    of the layer ``attention`` (its name; "" for none). ``pattern`` is what groups of the same structure have in common.
    """

    root: str
    full: Any
    units: tuple[tuple[int, ...], ...]
    pattern: str
    attention: str = ""


def dependency_graph(lifted: LiftedModel) -> Any:
    """Return torch-pruning's ``DependencyGraph`` of a module.

    Raises:
        RuntimeError and others of torch: the module cannot be traced.
    """
    import torch_pruning
    from torch import nn

    interface = interface_of(lifted)
    arguments = as_arguments(interface, example_feed(interface))
    lifted.module.eval().requires_grad_(True)
    return torch_pruning.DependencyGraph().build_dependency(
        lifted.module,
        arguments,
        forward_fn=lambda module, inputs: module(*inputs),
        customized_pruners={nn.LSTM: lstm_pruner()},
        verbose=False,
    )


def channel_groups(
    lifted: LiftedModel, graph: Any, *, keep: Sequence[str], heads: bool
) -> tuple[list[ChannelGroup], dict[str, str]]:
    """Return the groups that may be pruned, and the layers that stay whole with the reason.

    Args:
        lifted: the module.
        graph: its dependency graph.
        keep: patterns of names of layers that stay as they are (its own, or those of the ONNX nodes).
        heads: whether attention loses whole heads, else the same dimensions of every head.

    Raises:
        TrainingInputError: unknown_layer: a pattern matches none.
    """
    kept = layers_matching(layer_names(lifted), keep, setting="prune: keep")
    names = {id(one): name for name, one in lifted.module.named_modules()}
    outputs = output_layers(lifted.module)
    attentions = dict(_attention_inputs(lifted.module))
    whole = why_whole(lifted.module)
    found, left = [], _read_unseen(lifted.module)
    unseen = [lifted.module.get_submodule(name) for name in left]
    for group in graph.get_all_groups(ignored_layers=unseen, root_module_types=_root_types()):
        root = names[id(group[0].dep.target.module)]
        giving = {names.get(id(item.dep.target.module), "") for item in group if _gives(graph, item)} - {""}
        if giving & outputs:
            left[root] = "it gives an output of the model"
        elif giving & kept:
            left[root] = "by the setting keep"
        elif giving & set(whole):
            left[root] = next(why for name, why in whole.items() if name in giving)
        elif any(_is_transposed_in_groups(item.dep.target.module) for item in group):
            left[root] = "a transposed convolution divides it into groups"
        else:
            attention = next((name for name, sources in attentions.items() if giving & sources), "")
            units = _units(lifted.module, group, attention, heads=heads)
            is_headed = bool(attention) and heads
            found.append(
                ChannelGroup(
                    root=root,
                    full=group,
                    units=units,
                    pattern=_pattern(graph, group),
                    attention=attention if is_headed else "",
                )
            )
    return found, left


def output_layers(module: fx.GraphModule) -> set[str]:
    """Return the layers with weights whose channels are those of an output: nothing with weights comes behind them."""
    found: set[str] = set()
    (end,) = (node for node in module.graph.nodes if node.op == "output")
    seen, pending = set(), list(end.all_input_nodes)
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        name = _layer_name(module, node)
        if name:
            found.add(name)
            continue
        pending += node.all_input_nodes
    return found


def _layer_name(module: fx.GraphModule, node: Any) -> str:
    """Return the name of the layer with weights that a node calls, "" for another node."""
    layer = module.get_submodule(node.target) if node.op == "call_module" else None
    if isinstance(layer, Recurrent):
        return f"{node.target}.layer"
    return str(node.target) if isinstance(layer, tuple(_root_types())) else ""


def _read_unseen(module: fx.GraphModule) -> dict[str, str]:
    """Return the layers that recurrent ones read through which no channels are followed, with the reason."""
    layers = {node: module.get_submodule(node.target) for node in module.graph.nodes if node.op == "call_module"}
    return {
        name: f"{node.target} reads it, of which channels are not known"
        for node, layer in layers.items()
        if isinstance(layer, Recurrent) and not is_followed(layer)
        for name in _nearest_layers(module, node.args[0])
    }


def _root_types() -> list[type]:
    import torch
    from torch import nn

    return [torch.nn.modules.conv._ConvNd, nn.Linear, nn.LSTM]  # noqa: SLF001  the base of all convolutions


def _gives(graph: Any, item: Any) -> bool:
    return bool(graph.is_out_channel_pruning_fn(item.dep.handler))


def _pattern(graph: Any, group: Any) -> str:
    """Return kinds of layers and directions of a group, as isomorphic pruning tells structures apart."""
    parts = (f"{type(item.dep.target.module).__name__}:{'out' if _gives(graph, item) else 'in'}" for item in group)
    return " ".join(parts)


def _units(module: nn.Module, group: Any, attention: str, *, heads: bool) -> tuple[tuple[int, ...], ...]:
    width = len(group[0].idxs)
    if attention:
        head_count = int(module.get_submodule(attention).head_count)
        size = width // head_count
        if heads:
            return tuple(tuple(range(head * size, (head + 1) * size)) for head in range(head_count))
        return tuple(tuple(range(place, width, size)) for place in range(size))
    parts = max((_group_count(item.dep.target.module) for item in group), default=1)
    size = width // parts
    return tuple(tuple(range(place, width, size)) for place in range(size))


def _group_count(layer: Any) -> int:
    """Return in how many groups a layer divides its channels; a depthwise convolution follows its input's."""
    groups = int(getattr(layer, "groups", 1) or 1)
    if groups > 1 and groups == getattr(layer, "out_channels", 0) == getattr(layer, "in_channels", 0):
        return 1
    return max(groups, int(getattr(layer, "num_groups", 1) or 1))


def _is_transposed_in_groups(layer: Any) -> bool:
    """Return whether torch-pruning (1.6.1) mistakes the channels of a layer: it divides them along the wrong axis."""
    return bool(getattr(layer, "transposed", False)) and _group_count(layer) > 1


def _attention_inputs(module: fx.GraphModule) -> Iterator[tuple[str, set[str]]]:
    """Yield each attention layer with the linear layers that make its queries, keys and values."""
    for node in module.graph.nodes:
        if node.op != "call_module" or not hasattr(module.get_submodule(node.target), "head_count"):
            continue
        yield node.target, {name for one in node.args[:3] for name in _nearest_layers(module, one)}


def _nearest_layers(module: fx.GraphModule, node: Any) -> set[str]:
    found: set[str] = set()
    pending = [node]
    while pending:
        one = pending.pop()
        name = _layer_name(module, one)
        if name:
            found.add(name)
        else:
            pending += one.all_input_nodes
    return found
