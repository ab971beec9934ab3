"""A model in parts after compression, on a terminal and as JSON: what each part costs the whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from steelyard.compress.contract import Evaluation
from steelyard.compress.evaluation import evaluation_message
from steelyard.compress.parts.result import CompressedPart, CompressedParts
from steelyard.report.lineage import change_text, evaluation_text
from steelyard.report.listings import hanging, plain_table
from steelyard.report.plain import to_plain
from steelyard.stats.formatting import format_value


def render_parts(found: CompressedParts) -> RenderableType:
    """Return a row a part (the others as they were), and one for all together."""
    original = found.scores.original
    table = plain_table(title=f"{found.name}, parts compressed")
    for name in ("compressed", "size", "was", original.metric, "change"):
        table.add_column(name, overflow="fold", justify="left" if name == "compressed" else "right")
    table.add_row(Text("nothing"), "", "", Text(_score(original)), "")
    for part in found.parts:
        score = found.scores.alone[part.name]
        table.add_row(
            Text(f"{part.name} alone: {part.variant.lineage.recipe_name}"),
            Text(format_value(part.variant.size_bytes, "B")),
            Text(format_value(part.original.size_bytes, "B")),
            Text(_score(score)),
            Text(change_text(evaluation_message(original), evaluation_message(score))),
        )
    together = found.scores.together
    table.add_row(
        Text("all of them"),
        Text(format_value(sum(part.variant.size_bytes for part in found.parts), "B")),
        Text(format_value(sum(part.original.size_bytes for part in found.parts), "B")),
        Text(_score(together)),
        Text(change_text(evaluation_message(original), evaluation_message(together))),
    )
    return Group(table, *(hanging("- ", _calls_text(part)) for part in found.parts))


def plain_parts(found: CompressedParts) -> dict[str, Any]:
    """Return the same as JSON has it."""
    return {
        "name": found.name,
        "original": asdict(found.scores.original),
        "together": asdict(found.scores.together),
        "parts": [
            {
                "name": part.name,
                "original": to_plain(part.original),
                "variant": to_plain(part.variant),
                "task_id": part.task.task_id,
                "calibration_call_count": part.calls.calibration_count,
                "evaluation_call_count": part.calls.evaluation_count,
                "other_shape_call_count": part.calls.other_shape_count,
                "alone": asdict(found.scores.alone[part.name]),
            }
            for part in found.parts
        ],
    }


def _calls_text(part: CompressedPart) -> str:
    calls = part.calls
    left = f"; {calls.other_shape_count} of other shapes were left out" if calls.other_shape_count else ""
    return (
        f"{part.name}: calibrated on {calls.calibration_count} of its calls, its own task evaluates "
        f"{calls.evaluation_count}{left}"
    )


def _score(evaluation: Evaluation) -> str:
    return evaluation_text(evaluation_message(evaluation))
