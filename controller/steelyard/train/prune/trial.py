"""Which groups a module really runs without: sizes that a graph stores may count on a width."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from steelyard.train.export.example import as_arguments, example_feed, interface_of
from steelyard.train.lift.lifted import LiftedModel
from steelyard.train.prune.groups import ChannelGroup, dependency_graph

# Takes units of a group out of a model's module, by its dependency graph.
TakeOut = Callable[[LiftedModel, Any, ChannelGroup, Sequence[int]], None]


def running_groups(
    lifted: LiftedModel, groups: Sequence[ChannelGroup], take_out: TakeOut, *, round_to: int
) -> list[ChannelGroup]:
    """Return the groups that can lose units, down to the next multiple of ``round_to``, so that the module still runs.

    Mostly all of them can, which one trial shows; where that fails each is tried by itself.
    """
    if _runs(lifted, groups, take_out, round_to):
        return list(groups)
    return [group for group in groups if _runs(lifted, [group], take_out, round_to)]


def _runs(lifted: LiftedModel, groups: Sequence[ChannelGroup], take_out: TakeOut, round_to: int) -> bool:
    import torch

    made = dataclasses.replace(lifted, module=copy.deepcopy(lifted.module))
    interface = interface_of(made)
    try:
        graph = dependency_graph(made)
        for group in groups:
            take_out(made, graph, group, range(_step(group, round_to)))
        with torch.no_grad():
            made.module(*as_arguments(interface, example_feed(interface)))
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError):
        return False
    return True


def _step(group: ChannelGroup, round_to: int) -> int:
    """Return how many units are above the next multiple; one where that leaves none."""
    each = len(group.units[0])
    width = len(group.units) * each
    over = (width - 1) % round_to + 1
    count = over // each if over < width and over % each == 0 else 1
    return min(count, len(group.units) - 1)
