"""Put the nodes of a graph in an order in which each reads what an earlier one gave."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


def sort_nodes(graph: GraphProto) -> None:
    """Sort the nodes topologically, in place, each as near to its old place as it may be; a sorted graph stays.

    What subgraphs read of a graph counts as read by the node that has them, which quantizers forget. A graph with a
    cycle is left as it is.
    """
    from onnx import NodeProto as Node

    order = _order(list(graph.node))
    if order is None or order == sorted(order):
        return
    copies = []
    for index in order:
        copy = Node()
        copy.CopyFrom(graph.node[index])
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)


def _order(nodes: list[NodeProto]) -> list[int] | None:
    """Return the numbers of the nodes in their new order, the lowest that is free first; None with a cycle."""
    makers = {name: number for number, node in enumerate(nodes) for name in node.output if name}
    readers: dict[int, list[int]] = {number: [] for number in range(len(nodes))}
    missing = [0] * len(nodes)
    for number, node in enumerate(nodes):
        for maker in {makers[name] for name in _read_names(node) if name in makers}:
            readers[maker].append(number)
            missing[number] += 1
    free = [number for number, count in enumerate(missing) if count == 0]
    order = []
    while free:
        number = heapq.heappop(free)
        order.append(number)
        for reader in readers[number]:
            missing[reader] -= 1
            if missing[reader] == 0:
                heapq.heappush(free, reader)
    return order if len(order) == len(nodes) else None


def _read_names(node: NodeProto) -> Iterator[str]:
    """Yield the names that a node and its subgraphs read; a subgraph's own names do no harm, as names are unique."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (value.name for value in graph.output)
            for inner in graph.node:
                yield from _read_names(inner)
