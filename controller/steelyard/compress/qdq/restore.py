"""Put quantized operators back to float by surgery; what is not named stays as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from steelyard.compress.qdq.graph import DEQUANTIZE, QUANTIZE, QdqGraph, Unit, before_quantization
from steelyard.compress.qdq.pruning import drop_dead

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

# They move numbers and change none: in front of a float operator their own Q/DQ would quantize its input.
_MOVING = frozenset({
    "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "MaxPool", "Identity", "Slice", "Gather", "Split",
})  # fmt: skip
_FLOAT_SUFFIX = "_restored"


def restore(graph: QdqGraph, names: Collection[str]) -> ModelProto:
    """Return a copy of the QDQ model with the named units in float.

    They get the float weights and biases, and read their inputs from before the Q/DQ; a pair that nothing quantized
    reads any more is removed. Where a unit gives an output of the graph, the pair behind it is removed too. With every
    unit restored the model computes what the float model does.
    """
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    wanted = _with_moving(graph, names)
    surgery = _Surgery(graph, model)
    surgery.bring_back_activations(unit for unit in graph.units if unit.dropped and surgery.reads_raw(unit, wanted))
    for unit in wanted:
        surgery.restore(unit)
    surgery.free_outputs(wanted)
    drop_dead(model.graph)
    return model


def _with_moving(graph: QdqGraph, names: Collection[str]) -> list[Unit]:
    """Return the named units and the moving ones that feed them, in the order of the graph."""
    by_output = {unit.node.output[0]: unit for unit in graph.units}
    found = {unit.name: unit for unit in graph.units if unit.name in names}
    pending = list(found.values())
    while pending:
        unit = pending.pop()
        for name in unit.node.input:
            before = by_output.get(graph.before_quantization(name))
            if before is not None and before.op_type in _MOVING and before.name not in found:
                found[before.name] = before
                pending.append(before)
    return [unit for unit in graph.units if unit.name in found]


class _Surgery:
    """Changes of one copy of the model; nodes are found in it by their first output."""

    def __init__(self, graph: QdqGraph, model: ModelProto) -> None:
        self._source = graph
        self._graph: GraphProto = model.graph
        self._at = {node.output[0]: node for node in model.graph.node}
        self._stored = {tensor.name for tensor in model.graph.initializer}
        self._unit_outputs = {unit.node.output[0]: unit for unit in graph.units}

    def reads_raw(self, unit: Unit, wanted: list[Unit]) -> bool:
        """Return whether the output of ``unit`` will be read without the clipping of its QuantizeLinear."""
        if any(one.name == unit.name for one in wanted):
            return True
        output = unit.node.output[0]
        return any(self._source.before_quantization(name) == output for one in wanted for name in one.node.input)

    def bring_back_activations(self, units: Iterable[Unit]) -> None:
        """Put the activations that the quantizer dropped back behind these units."""
        from onnx import NodeProto as Node

        added: dict[str, list[NodeProto]] = {}
        for unit in units:
            node = self._at[unit.node.output[0]]
            last = node.output[0]
            node.output[0] = unit.float_node.output[0]
            copies: list[NodeProto] = []
            for activation in unit.dropped:
                copy = Node()
                copy.CopyFrom(activation)
                copy.input[1:] = [self._stored_name(name) for name in copy.input[1:]]
                copies.append(copy)
            copies[-1].output[0] = last
            self._at[node.output[0]] = node
            added[node.output[0]] = copies
        self._insert_behind(added)

    def restore(self, unit: Unit) -> None:
        """Make one unit what it was in the float model."""
        node = self._at[unit.float_node.output[0] if unit.dropped else unit.node.output[0]]
        inputs = []
        for index, name in enumerate(unit.float_node.input):
            if name in self._source.float_tensors:
                inputs.append(self._stored_name(name))
            else:
                inputs.append(self._source.before_quantization(unit.node.input[index]))
        del node.input[:]
        node.input.extend(inputs)
        del node.attribute[:]
        node.attribute.extend(unit.float_node.attribute)

    def free_outputs(self, wanted: list[Unit]) -> None:
        """Remove the Q/DQ between restored units and outputs of the graph; quantized readers keep theirs."""
        restored = {unit.node.output[0] for unit in wanted}
        made = {name: node for node in self._graph.node for name in node.output}
        for output in self._graph.output:
            raw = before_quantization(made, output.name)
            if raw != output.name and self._maker(raw) in restored:
                self._swap(made, output.name, raw)

    def _maker(self, name: str) -> str:
        """Return the output of the unit that made ``name``, looking through operators that were never quantized."""
        source = self._source.producers
        while name not in self._unit_outputs and name in source and source[name].op_type not in {QUANTIZE, DEQUANTIZE}:
            name = source[name].input[0]
        return name

    def _swap(self, made: dict[str, NodeProto], output: str, raw: str) -> None:
        """Let ``raw`` have the name of the output, and what was dequantized another one."""
        dequantized = f"{output}_{DEQUANTIZE}_Output"
        names = {output: dequantized, raw: output}
        for node in self._graph.node:
            for names_of in (node.input, node.output):
                for index, name in enumerate(names_of):
                    names_of[index] = names.get(name, name)
        for tensor in self._graph.value_info:
            if tensor.name == output:
                tensor.name = dequantized
        made.clear()
        made.update({name: node for node in self._graph.node for name in node.output})

    def _stored_name(self, name: str) -> str:
        """Return what a float tensor is called in the model, added where it lacks it; other names stay.

        A quantized bias is dequantized into the name of the float one, which then is taken.
        """
        tensor = self._source.float_tensors.get(name)
        if tensor is None:
            return name
        stored = f"{name}{_FLOAT_SUFFIX}" if name in self._source.producers else name
        if stored not in self._stored:
            self._graph.initializer.append(tensor)
            self._graph.initializer[-1].name = stored
            self._stored.add(stored)
        return stored

    def _insert_behind(self, added: dict[str, list[NodeProto]]) -> None:
        from onnx import NodeProto as Node

        if not added:
            return
        nodes: list[NodeProto] = []
        for node in self._graph.node:
            copy = Node()
            copy.CopyFrom(node)
            nodes += [copy, *added.get(node.output[0], [])]
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        self._at = {node.output[0]: node for node in self._graph.node}
