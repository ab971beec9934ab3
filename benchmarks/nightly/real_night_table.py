"""What thirty real nights found of what was planted in them, and whether they found anything else. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.results_file import Run
from benchmarks.table import Table

# The nights from which on each change is there.
DOWNGRADE, SLOWER, LESS_ACCURATE = 12, 18, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A change: from which night on, which models it makes worse, by which metrics, and the cause that is right."""

    name: str
    night: int
    models: frozenset[str]
    metrics: frozenset[str]
    cause: str


_TIMES = frozenset({"p50", "p90", "p95", "p99", "first", "load"})
PLANTS = (
    Plant(
        name="ONNX Runtime 1.32.0 to 1.19.2",
        night=DOWNGRADE,
        models=frozenset({"encoder", "upscaler"}),
        metrics=frozenset({"p50"}),
        cause="runtime",
    ),
    Plant(
        name="a file with six blocks for five",
        night=SLOWER,
        models=frozenset({"enhancer"}),
        metrics=frozenset({"p50"}),
        cause="model",
    ),
    Plant(
        name="a file with noise on its weights",
        night=LESS_ACCURATE,
        models=frozenset({"clothes"}),
        metrics=frozenset({"accuracy"}),
        cause="model",
    ),
)


def table_of(run: Run, command: str) -> Table:
    """Return a row a planted series, and what else was confirmed."""
    nights = run.rounds
    others = list(_others(nights))
    return Table(
        title="Thirty nights for real, three changes planted",
        command=command,
        method=(
            f"{len(nights)} nights of `steelyard nightly run` on this machine's own agent, one after the other: four "
            "models under one runtime environment, six rounds each, no gate, while another process kept 0, 15, 30 or "
            "45 % of a core busy, drawn anew each night. What was planted and confirmed was accepted in the morning, "
            "as a person would."
        ),
        run=run,
        head=["planted", "night", "series", "confirmed on night", "change (99 %)", "cause said"],
        rows=[_row(nights, plant, model) for plant in PLANTS for model in sorted(plant.models)],
        verdicts=[_found_verdict(nights), _else_verdict(nights, others), *(_other_text(*one) for one in others)],
    )


def _row(nights: Sequence[dict[str, Any]], plant: Plant, model: str) -> list[str]:
    found = _first(nights, plant, model)
    series = f"{model} {'/'.join(sorted(plant.metrics))}"
    if found is None:
        return [plant.name, str(plant.night), series, "not confirmed", "", ""]
    night, cause, finding = found
    return [plant.name, str(plant.night), series, str(night), _change(finding), cause]


def _first(nights: Sequence[dict[str, Any]], plant: Plant, model: str) -> tuple[int, str, dict[str, Any]] | None:
    for night in nights:
        for group in night["groups"]:
            for finding in group["findings"]:
                if finding["model"] == model and finding["metric"] in plant.metrics and night["night"] >= plant.night:
                    return night["night"], group["cause"], finding
    return None


def _others(nights: Sequence[dict[str, Any]]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield what was confirmed and not planted: another model, another kind of metric, or before its night."""
    for night in nights:
        for group in night["groups"]:
            for finding in group["findings"]:
                if not any(_belongs(plant, night["night"], finding) for plant in PLANTS):
                    yield night["night"], group["cause"], finding


def _belongs(plant: Plant, night: int, finding: dict[str, Any]) -> bool:
    """Say whether a finding is of a plant: its times, size and outputs change with its p50 or its file as well."""
    if finding["model"] not in plant.models or night < plant.night:
        return False
    follows = _TIMES if plant.cause == "runtime" else _TIMES | {"size", "macs", "output_hash", "memory", "accuracy"}
    return finding["metric"] in plant.metrics | follows | {"output_hash", "placement"}


def _found_verdict(nights: Sequence[dict[str, Any]]) -> str:
    done = [plant for plant in PLANTS if any(night["night"] > plant.night for night in nights)]
    pairs = [(plant, model, _first(nights, plant, model)) for plant in done for model in sorted(plant.models)]
    found = [one for one in pairs if one[2] is not None and one[2][0] <= one[0].night + 1]
    right = [one for one in found if one[2] is not None and one[2][1] == one[0].cause]
    word = "met" if len(right) == len(pairs) and pairs else "not met"
    return (
        f"Each planted series confirmed by the second night, with the right cause: {len(found)} of {len(pairs)} found, "
        f"{len(right)} with the right cause: {word}."
    )


def _else_verdict(nights: Sequence[dict[str, Any]], others: Sequence[object]) -> str:
    judged = sum(night["method"]["hypothesis_count"] for night in nights)
    word = "met" if not others else "not met"
    return f"Nothing else confirmed: {len(others)} in {len(nights)} nights and {judged:,} judgements: {word}."


def _other_text(night: int, cause: str, finding: dict[str, Any]) -> str:
    return f"Not planted: {finding['model']} {finding['metric']} in night {night} ({cause}): {finding['reason']}."


def _change(finding: dict[str, Any]) -> str:
    value, low, high = (finding[name] for name in ("ratio", "low", "high"))
    if value is None:
        return finding["reason"][:60]
    if finding["metric"] == "accuracy":
        return f"{value:+.2f} pp ({low:+.2f} to {high:+.2f})"
    return f"{value - 1:+.1%} ({low - 1:+.1%} to {high - 1:+.1%})"
