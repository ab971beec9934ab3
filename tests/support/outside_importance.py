"""An importance of pruning as somebody else would bring it, in a plugin of a few lines."""

from __future__ import annotations

PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar

import torch_pruning


@dataclass(frozen=True, slots=True, kw_only=True)
class Cautious:
    kind: ClassVar[str] = "cautious"

    def score(self, group, model, statistics):
        statistics.put_gradients()
        return torch_pruning.importance.GroupTaylorImportance()(group) ** 2


STEELYARD_PLUGIN = {"importances": [Cautious]}
"""
