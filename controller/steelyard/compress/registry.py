"""Find the class of a step by its kind, ours or a plugin's; its module is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from steelyard.compress.contract import Step
from steelyard.compress.errors import RecipeError
from steelyard.spelling import meant

_STEPS = {
    "fold": "steelyard.compress.steps.fold:Fold",
    "equalize": "steelyard.compress.steps.equalize:Equalize",
    "float16": "steelyard.compress.steps.float16:Float16",
    "dynamic-int8": "steelyard.compress.steps.dynamic_int8:DynamicInt8",
    "static-int8": "steelyard.compress.steps.static_int8:StaticInt8",
    "bias-correction": "steelyard.compress.steps.bias_correction:BiasCorrection",
    "adaround": "steelyard.compress.steps.adaround:AdaRound",
    "sensitivity": "steelyard.compress.steps.sensitivity:MeasureSensitivity",
    "fallback": "steelyard.compress.steps.fallback:Fallback",
    "weight-only": "steelyard.compress.steps.weight_only:WeightOnly",
    "share-weights": "steelyard.compress.steps.share_weights:ShareWeights",
    "low-rank": "steelyard.compress.steps.low_rank:LowRank",
    "sparsify": "steelyard.compress.steps.sparsify:Sparsify",
    "sparse-encoding": "steelyard.compress.steps.sparse_encoding:SparseEncoding",
    "fine-tune": "steelyard.train.steps.fine_tune:FineTune",
    "distill": "steelyard.train.steps.distill:Distill",
    "prune": "steelyard.train.steps.prune:Prune",
    "sparse-train": "steelyard.train.steps.sparse_train:SparseTrain",
    "width": "steelyard.train.steps.width:Width",
    "resize-input": "steelyard.train.steps.resize_input:ResizeInput",
    "qat": "steelyard.train.steps.qat:QuantizationAwareTraining",
}


def step_kinds() -> tuple[str, ...]:
    """Return the kinds of all steps that come with Steelyard."""
    return tuple(_STEPS)


def all_step_kinds() -> tuple[str, ...]:
    """Return the kinds of all known steps, those of plugins last."""
    from steelyard.plugins.lookup import kinds
    from steelyard.plugins.roles import STEPS

    return (*_STEPS, *(kind for kind in kinds(STEPS) if kind not in _STEPS))


def step_class(kind: str) -> type[Step]:
    """Return the class of a step.

    Raises:
        RecipeError: unknown_step, with the nearest known kind.
        PluginError: it is a plugin's, which cannot be used.
    """
    if kind in _STEPS:
        module, _, name = _STEPS[kind].partition(":")
        found: Any = getattr(importlib.import_module(module), name)
        return found  # type: ignore[no-any-return]
    from steelyard.plugins.lookup import find
    from steelyard.plugins.roles import STEPS

    plugin = find(STEPS, kind)
    if plugin is None:
        raise RecipeError(
            "unknown_step",
            f"there is no step of kind {kind!r}; {meant(kind, all_step_kinds())}; a plugin's file is named with "
            "--plugin",
        )
    return plugin.made  # type: ignore[no-any-return]


def step_plugin(kind: str) -> str:
    """Return "NAME VERSION SHA256" of the plugin that a kind of step comes from; "" for one of ours.

    Raises:
        PluginError: the plugin cannot be used.
    """
    if kind in _STEPS:
        return ""
    from steelyard.plugins.lookup import origin_text
    from steelyard.plugins.roles import STEPS

    return origin_text(STEPS, kind)
