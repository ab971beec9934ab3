"""Where values are rounded, so that a runtime finds Q and DQ on every edge that its integer kernels need.

Conv, linear and matrix products are rounded at their inputs and behind their tails (a Relu or Clip belongs to the layer
before it), sums and concatenations at all inputs, pools on both sides; what only moves values keeps their grid. The
stock quantizers of torchao leave edges out, and onnxruntime then runs the layers in float between conversions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from steelyard.train.qat.grids import Grids

if TYPE_CHECKING:
    from torch.fx import Node

_CONVOLUTIONS = frozenset({"aten.conv1d.default", "aten.conv2d.default", "aten.conv3d.default"})
_LINEAR = frozenset({"aten.linear.default"})
_PRODUCTS = frozenset({"aten.matmul.default", "aten.bmm.default"})
_SUMS = frozenset({"aten.add.Tensor", "aten.add_.Tensor"})
_JOINS = frozenset({"aten.cat.default"})
_POOLS = frozenset(
    {"aten.avg_pool1d.default", "aten.avg_pool2d.default", "aten.avg_pool3d.default", "aten.mean.dim",
     "aten.adaptive_avg_pool2d.default"}
)  # fmt: skip
_TAILS = frozenset(
    {"aten.relu.default", "aten.relu_.default", "aten.clamp.default", "aten.clamp_.default", "aten.clamp_min.default",
     "aten.hardtanh.default", "aten.hardtanh_.default", "aten.relu6.default"}
)  # fmt: skip
# They move values and make none: what comes out has the grid of what went in.
_MOVES = frozenset(
    {"aten.reshape.default", "aten.view.default", "aten.flatten.using_ints", "aten.transpose.int",
     "aten.permute.default", "aten.squeeze.dim", "aten.squeeze.dims", "aten.unsqueeze.default",
     "aten.max_pool1d.default", "aten.max_pool2d.default", "aten.max_pool3d.default"}
)  # fmt: skip


class Placement:
    """One graph on its way to being annotated."""

    def __init__(
        self, graph: Any, grids: Grids, *, bits: Mapping[str, int], kept: Collection[str], wide: Collection[str]
    ) -> None:
        """Look at a graph; nothing is annotated yet.

        Args:
            graph: of an exported module.
            grids: what is rounded to.
            bits: of the weights, by the name of the layer.
            kept: names of layers that stay in float.
            wide: names of layers whose activations have 16 bits.
        """
        self._graph = graph
        self._grids = grids
        self._bits = bits
        self._kept = kept
        self._wide = wide
        self._inputs: dict[Node, dict[Node, Any]] = {}
        self._given: dict[Node, Any] = {}

    def annotate(self) -> None:
        """Write the annotations that torchao prepares by."""
        from torchao.quantization.pt2e.quantizer import QuantizationAnnotation
        from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

        for node in self._graph.nodes:
            if node.op == "call_function":
                self._visit(node, str(node.target))
        for node in {*self._inputs, *self._given}:
            node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
                input_qspec_map=self._inputs.get(node, {}), output_qspec=self._given.get(node), _annotated=True
            )

    def _visit(self, node: Node, target: str) -> None:
        if target in _CONVOLUTIONS | _LINEAR:
            self._layer(node, convolves=target in _CONVOLUTIONS)
        elif target in _PRODUCTS or (target in _SUMS and _adds_two_values(node)):
            self._take(node, node.args[:2])
            self._give(node, may_stay_float=True)
        elif target in _JOINS:
            self._take(node, _values(node.args[0]))
            self._give(node)
        elif target in _POOLS and _is_over_space(node):
            self._take(node, node.args[:1])
            self._give(node, may_stay_float=True)
        elif target in _MOVES and node.args[0] in self._given:
            self._move(node)

    def _layer(self, node: Node, *, convolves: bool) -> None:
        weight: Any = node.args[1]
        if weight.op != "get_attr":
            self._take(node, node.args[:2])
        elif (name := layer_of(weight)) in self._kept:
            return
        else:
            self._take(node, node.args[:1], wide=name in self._wide)
            self._inputs[node][weight] = self._grids.weights[self._bits[name]]
        self._give(node, may_stay_float=not convolves)

    def _take(self, node: Node, values: Iterable[Any], *, wide: bool = False) -> None:
        edges = self._inputs.setdefault(node, {})
        for value in values:
            known = self._given.get(value)
            plain = self._grids.wide if wide else self._grids.activation
            edges[value] = known if known is not None and not _is_shared(known) else plain

    def _give(self, node: Node, *, may_stay_float: bool = False) -> None:
        """Round what a node gives, behind its tail; sums that leave the model may stay as they are."""
        end = _tail(node)
        if may_stay_float and all(user.op == "output" for user in end.users):
            return
        readers = {layer_of(user.args[1]) for user in end.users if str(user.target) in _CONVOLUTIONS | _LINEAR}
        self._given[end] = self._grids.wide if readers & set(self._wide) else self._grids.activation

    def _move(self, node: Node) -> None:
        from torchao.quantization.pt2e.quantizer import SharedQuantizationSpec

        value: Any = node.args[0]
        self._inputs.setdefault(node, {})[value] = self._given[value]
        self._given[node] = SharedQuantizationSpec((value, node))


def layer_of(weight: Any) -> str:
    """Return the name of the layer that a stored weight belongs to, "" for a value that is computed."""
    return str(weight.target).rpartition(".")[0] if getattr(weight, "op", "") == "get_attr" else ""


def layers_of_graph(graph: Any) -> tuple[str, ...]:
    """Return the names of the layers with stored weights that are quantized, in their order."""
    found = [
        layer_of(node.args[1])
        for node in graph.nodes
        if node.op == "call_function" and str(node.target) in _CONVOLUTIONS | _LINEAR
    ]
    return tuple(name for name in dict.fromkeys(found) if name)


def _tail(node: Node) -> Node:
    """Return the Relu or Clip that alone reads a node, or the node."""
    readers = list(node.users)
    return readers[0] if len(readers) == 1 and str(readers[0].target) in _TAILS else node


def _adds_two_values(node: Node) -> bool:
    """Return whether two computed float tensors are added; counters and constants are none."""
    return (
        all(hasattr(one, "op") and one.op != "get_attr" and _is_float(one) for one in node.args[:2])
        and node.args[0] is not node.args[1]
    )


def _is_float(node: Any) -> bool:
    value = node.meta.get("val")
    return hasattr(value, "dtype") and bool(value.dtype.is_floating_point)


def _is_over_space(node: Node) -> bool:
    """Return whether a pool or mean takes the places of a picture together."""
    value: Any = node.args[0]
    if "mean" not in str(node.target):
        return True
    axes: Any = node.args[1]
    rank = value.meta["val"].dim()
    return rank > 3 and {int(axis) % rank for axis in axes} == set(range(2, rank))


def _values(values: Any) -> list[Any]:
    return list(values)


def _is_shared(spec: Any) -> bool:
    from torchao.quantization.pt2e.quantizer import SharedQuantizationSpec

    return isinstance(spec, SharedQuantizationSpec)
