"""Keys of steps: the same key, the same bytes. Weights, settings, data, seed, processor and tools are in it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files

from steelyard.compress.contract import Step
from steelyard.compress.latency import needs_latency
from steelyard.compress.learning import Learns, learns, named_artifacts
from steelyard.compress.recipe import step_settings

# Distributions whose release may change what a step gives.
_TOOLS = (
    "onnxruntime",
    "onnx",
    "onnxslim",
    "onnxconverter-common",
    "numpy",
    "scipy",
    "litert-quantizer",
    "ai-edge-litert",
    "torch",
    "torchao",
    "torch-pruning",
    "onnxscript",
    "onnx-ir",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInputs:
    """What every step of one run may read.

    ``calibration_digest`` and ``choice_digest`` are of the packed samples and of what steps choose by, "" for none, and
    ``training_digest`` of what they learn from. ``latency_key`` is what measures for steps that ask for a latency.
    ``artifact_digests`` are of other models, by the names that steps use.
    """

    seed: int
    processor_features: Collection[str] = ()
    calibration_digest: str = ""
    choice_digest: str = ""
    training_digest: str = ""
    latency_key: str = ""
    artifact_digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKey:
    """The key, the key without the tools, and the tools in words."""

    key: str
    loose_key: str
    tools: str


def step_key(step: Step, ancestors: Sequence[str], inputs: StepInputs, *, plugin: str = "") -> StepKey:
    """Return the key of one step; ``ancestors`` are the digests of the models before it, the parent first.

    A step that compares with an earlier float model, or learns, reads all of them, others the last.
    """
    read = list(ancestors) if step.needs_float_ancestor or isinstance(step, Learns) else [ancestors[-1]]
    told = {
        "kind": step.kind,
        "settings": step_settings(step),
        "models": read,
        "calibration": inputs.calibration_digest if step.needs_calibration else "",
        # Steps of others may choose whatever they are; of ours, those choose that compare or learn.
        "choice": inputs.choice_digest if step.needs_float_ancestor or isinstance(step, Learns) or plugin else "",
        "training": inputs.training_digest if learns(step) else "",
        "artifacts": [inputs.artifact_digests.get(one, "") for one in named_artifacts([step])],
        "seed": inputs.seed,
        # A training is the same for every device; steps of others may read whatever they like.
        "features": sorted(inputs.processor_features) if getattr(step, "reads_processor", True) else [],
        **({"latency": inputs.latency_key} if needs_latency(step) else {}),
    }
    # What a step is made of beside its own class: an importance of another plugin.
    parts = getattr(step, "plugin_origins", ())
    tools = "; ".join(one for one in (*tools_here(), plugin, *parts) if one)
    return StepKey(key=_digest({**told, "tools": tools}), loose_key=_digest(told), tools=tools)


def score_key(digest: str, parent_digest: str, choice_digest: str) -> str:
    """Return the key of what a model scored here; ``parent_digest`` is what it may be held against."""
    return _digest(
        {
            "model": digest,
            "parent": parent_digest,
            "samples": choice_digest,
            "tools": tools_here(),
        }
    )


@lru_cache(maxsize=1)
def tools_here() -> tuple[str, ...]:
    """Return "name version" of the tools that are installed, this program with the digest of its sources first."""
    installed = {one.metadata["Name"].lower(): one.version for one in importlib.metadata.distributions()}
    own = f"steelyard {installed.get('steelyard', '')} ({_own_sources()})"
    return (own, *(f"{name} {installed[name]}" for name in _TOOLS if name in installed))


def why_other_bytes(before: str, now: str) -> str:
    """Return why a step gave other bytes than it did under the tools ``before``."""
    old, new = set(before.split("; ")), set(now.split("; "))
    if old == new:
        return "the tools are the same: this step is not deterministic"
    return (
        f"then {', '.join(sorted(old - new)) or 'nothing more'}, now {', '.join(sorted(new - old)) or 'nothing more'}"
    )


def _own_sources() -> str:
    digest = hashlib.sha256()
    pending = [files("steelyard").joinpath(name) for name in ("compress", "tasks", "train")]
    while pending:
        folder = pending.pop()
        for one in sorted(folder.iterdir(), key=lambda one: one.name):
            if one.is_dir():
                pending.append(one)
            elif one.name.endswith(".py"):
                digest.update(one.name.encode() + one.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:12]


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
