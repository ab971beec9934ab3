"""The groups of a module that can be pruned: torch-pruning's dependency graph, in units that go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.train.export.example import as_arguments, example_feed, interface_of
from steelyard.train.layer_patterns import layer_names, layers_matching
from steelyard.train.lift.lifted import LiftedModel

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

    interface = interface_of(lifted)
    arguments = as_arguments(interface, example_feed(interface))
    lifted.module.eval().requires_grad_(True)
    return torch_pruning.DependencyGraph().build_dependency(
        lifted.module, arguments, forward_fn=lambda module, inputs: module(*inputs), verbose=False
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
    found, left = [], {}
    for group in graph.get_all_groups(ignored_layers=[], root_module_types=_root_types()):
        root = names[id(group[0].dep.target.module)]
        giving = {names.get(id(item.dep.target.module), "") for item in group if _gives(graph, item)} - {""}
        if giving & outputs:
            left[root] = "it gives an output of the model"
        elif giving & kept:
            left[root] = "by the setting keep"
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
        if node.op == "call_module" and isinstance(module.get_submodule(node.target), tuple(_root_types())):
            found.add(node.target)
            continue
        pending += node.all_input_nodes
    return found


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
        if one.op == "call_module" and isinstance(module.get_submodule(one.target), tuple(_root_types())):
            found.add(one.target)
        else:
            pending += one.all_input_nodes
    return found
