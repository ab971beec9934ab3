"""The peer of structured pruning: torch-pruning used as its README begins, in one shot by the sizes of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Halvings of the ratio: finer than a channel.
_HALVINGS = 10


def prune_plainly(source: Path, target: Path, *, share: float) -> None:
    """Write ``source`` with channels taken out until ``share`` of the multiply-accumulates is left.

    `MagnitudePruner` with `MagnitudeImportance(p=2)`, the same ratio in each layer, the last layer ignored
    (torch-pruning 1.6.1, README, "Quickstart"). The largest ratio that is needed is searched; nothing is trained.
    """
    from steelyard.train.lift import lift_checked
    from steelyard.train.prune.costs import multiply_accumulates
    from steelyard.train.steps.model_files import write_model

    wanted = share * multiply_accumulates(lift_checked(source))
    low, high, best = 0.0, 0.95, None
    for _ in range(_HALVINGS):
        ratio = (low + high) / 2
        candidate = _pruned(lift_checked(source), ratio)
        if multiply_accumulates(candidate) <= wanted:
            high, best = ratio, candidate
        else:
            low = ratio
    assert best is not None, "a ratio of 0.95 leaves a twentieth of each layer"
    write_model(best, target)


def _pruned(lifted: Any, ratio: float) -> Any:
    import torch
    import torch_pruning
    from torch import nn

    from steelyard.train.export.example import as_arguments, example_feed, interface_of

    interface = interface_of(lifted)
    module = lifted.module
    arguments = as_arguments(interface, example_feed(interface))
    with torch.no_grad():
        (width,) = {int(one.shape[-1]) for one in [module(*arguments)]}
    ignored = [one for one in module.modules() if isinstance(one, nn.Linear) and one.out_features == width]
    for parameter in module.parameters():
        parameter.requires_grad_(requires_grad=True)
    pruner = torch_pruning.pruner.MagnitudePruner(
        module,
        arguments,
        importance=torch_pruning.importance.MagnitudeImportance(p=2),
        pruning_ratio=ratio,
        ignored_layers=ignored,
    )
    pruner.step()
    return lifted
