"""Nodes are sorted by what they and their subgraphs read, and stay where they may."""

from __future__ import annotations

import onnx
from onnx import helper

from steelyard.compress.preparation.node_order import sort_nodes


def _graph(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "g", [], [])


def _node(source: str, target: str) -> onnx.NodeProto:
    return helper.make_node("Relu", [source], [target], name=target)


def _names(graph: onnx.GraphProto) -> list[str]:
    return [node.name for node in graph.node]


def test_a_node_comes_behind_what_it_reads() -> None:
    graph = _graph(_node("b", "c"), _node("a", "b"), _node("x", "a"), _node("x", "other"))
    sort_nodes(graph)
    assert _names(graph) == ["a", "b", "c", "other"]


def test_a_node_comes_behind_what_its_branches_read() -> None:
    inner = helper.make_graph([_node("late", "inner")], "branch", [], [])
    graph = _graph(helper.make_node("If", ["x"], ["y"], name="if", then_branch=inner), _node("x", "late"))
    sort_nodes(graph)
    assert _names(graph) == ["late", "if"]


def test_sorted_nodes_stay_as_they_are() -> None:
    graph = _graph(_node("x", "z"), _node("x", "a"), _node("z", "b"))
    before = graph.SerializeToString()
    sort_nodes(graph)
    assert graph.SerializeToString() == before


def test_a_cycle_is_left_to_the_checks_of_models() -> None:
    graph = _graph(_node("b", "a"), _node("a", "b"))
    sort_nodes(graph)
    assert _names(graph) == ["a", "b"]
