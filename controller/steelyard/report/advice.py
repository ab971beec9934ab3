"""Advice as people read it in 80 columns, and as programs do."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from steelyard.advice.contract import Advice, AdvisedRecipe, Claim, Expectation
from steelyard.advice.facts import Situation
from steelyard.report.listings import hanging
from steelyard.stats.formatting import format_value

_MOST_KINDS = 6
KEEP = "keep the model as it is: nothing that is known of is expected to run faster here"


def render_advice(advice: Advice, situation: Situation, *, next_command: str) -> RenderableType:
    """Return the model and the device in lines, then recipes, warnings and notes.

    Args:
        advice: what to show.
        situation: what it follows from.
        next_command: the command that does what is advised, "" for none to be shown.
    """
    parts: list[RenderableType] = [*_heads(situation), Text()]
    if advice.recipes:
        if advice.keeps_model:
            parts.append(hanging("", KEEP, "bold"))
        parts.append(Text("try, in this order", style="bold"))
        shown: set[str] = set()
        for number, one in enumerate(advice.recipes, start=1):
            parts += _recipe(number, one, shown)
    else:
        parts.append(Text("nothing to try", style="bold"))
    if advice.warnings:
        parts += [Text(), Text("before time is spent", style="bold")]
        parts += [hanging("! ", f"{one.text} [{one.id}]", "yellow") for one in advice.warnings]
    if advice.notes:
        parts += [Text(), *(hanging("- ", note) for note in advice.notes)]
    if next_command and advice.recipes:
        parts += [Text(), Text(f"make and measure them: {next_command}")]
    return Group(*parts)


def plain_advice(advice: Advice, situation: Situation) -> dict[str, Any]:
    """Return advice as JSON-ready data; what is not known is null, and so is a bound that is not there."""
    return {
        "model": _plain_model(situation),
        "device": _plain_device(situation),
        "keeps_model": advice.keeps_model,
        "recipes": [dataclasses.asdict(one) for one in advice.recipes],
        "warnings": [
            {"id": one.id, "text": one.text, "claims": [plain_claim(claim) for claim in one.claims]}
            for one in advice.warnings
        ],
        "notes": list(advice.notes),
    }


def plain_claim(claim: Claim) -> dict[str, Any]:
    """Return a claim as JSON-ready data."""
    return {
        "recipe": claim.recipe,
        "figure": claim.figure,
        "low": claim.low or None,
        "high": claim.high if math.isfinite(claim.high) else None,
    }


def expectation_text(expectation: Expectation | None) -> str:
    """Return "expect 1.2x to 2.6x", or that nothing is known."""
    if expectation is None:
        return "its speed is not known before it is measured"
    return f"expect {range_text(expectation)}, no guarantee"


def range_text(expectation: Expectation) -> str:
    """Return "1.2x to 2.6x": two digits, since a prior has no more."""
    return f"{expectation.low:.2g}x to {expectation.high:.2g}x"


def _heads(situation: Situation) -> list[RenderableType]:
    model, device = situation.model, situation.device
    counted = f"{format_value(model.mac_count, 'count')} multiply-accumulates" if model.mac_count else "nothing counted"
    shown = [
        f"{kind} {100 * macs / model.mac_count:.0f} %"
        for kind, _, macs, _ in model.kinds[:_MOST_KINDS]
        if model.mac_count and macs >= 0.005 * model.mac_count
    ]
    processor = device.processor or device.architecture or "processor not told"
    features = ", ".join(sorted(device.features)) or "no features told"
    provider = f" ({situation.provider})" if situation.provider else ""
    what = (
        f"{model.name} ({model.model_format}, {model.form}, {format_value(model.size_bytes, 'B')}): {counted}, "
        f"{format_value(model.table.parameter_count, 'count')} parameters; {model.character}"
        f"{': ' if shown else ''}{', '.join(shown)}"
    )
    lines = [what, f"{device.name}: {processor}, {features}; by {situation.runtime}{provider}"]
    if situation.times is not None:
        longest = sorted(situation.times.shares.items(), key=lambda one: -one[1])[:3]
        told = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in longest)
        lines.append(f"time measured on it: {told} (measurement {situation.times.job_id[:12]})")
    return [Text(line) for line in lines]


def _recipe(number: int, one: AdvisedRecipe, shown: set[str]) -> list[RenderableType]:
    """Return the lines of a recipe; evidence that was ``shown`` above it is not told twice."""
    mark = f"{number:>2}. "
    head = Text(one.recipe, style="bold")
    lines = [f"{'saves space; ' if one.saves_only_space else ''}{expectation_text(one.expectation)}", one.reason]
    if one.expectation is not None and one.expectation.evidence not in shown:
        lines.append(f"rests on: {one.expectation.evidence}")
        shown.add(one.expectation.evidence)
    if one.needs:
        lines.append(f"needs {one.needs}")
    return [Text(mark).append_text(head), *(hanging(" " * len(mark), line) for line in lines)]


def _plain_model(situation: Situation) -> dict[str, Any]:
    model = situation.model
    return {
        "name": model.name,
        "format": model.model_format,
        "form": model.form,
        "size_bytes": model.size_bytes,
        "character": model.character,
        "mac_count": model.mac_count,
        "parameter_count": model.table.parameter_count,
        "kinds": [
            {"kind": kind, "layer_count": count, "mac_count": macs, "byte_count": moved}
            for kind, count, macs, moved in model.kinds
        ],
    }


def _plain_device(situation: Situation) -> dict[str, Any]:
    device, times = situation.device, situation.times
    return {
        "name": device.name,
        "architecture": device.architecture,
        "features": sorted(device.features),
        "int8_dot": device.int8_dot,
        "half_arithmetic": device.half_arithmetic,
        "u8s8_saturates": device.saturates,
        "memory_bytes": device.memory_bytes or None,
        "runtime": situation.runtime,
        "provider": situation.provider or None,
        "measured_times": None if times is None else {"job_id": times.job_id, "shares": dict(times.shares)},
    }
