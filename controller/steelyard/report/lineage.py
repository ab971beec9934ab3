"""How variants were made, on a terminal: the steps of a recipe as a table, and the family of a model as a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from steelyard.report.listings import hanging, plain_table
from steelyard.report.long_names import name_lines
from steelyard.report.step_latency import latency_text, parent_times, speed_text, times_of
from steelyard.stats.estimate import Estimate
from steelyard.stats.formatting import format_estimate, format_value
from steelyard_protocol.v1 import control_pb2

_SHORT_DIGEST = 12
_TITLE_COLUMNS = 80
_CONFIDENCE = 0.95


def render_steps(parent: control_pb2.Artifact, variant: control_pb2.Artifact) -> RenderableType:
    """Return what each step made: size, size under DEFLATE, score and its change, latency, seconds, and the notes.

    Where latencies were measured, the size under DEFLATE gives them its room.
    """
    lineage = variant.lineage
    table = plain_table()
    is_scored = any(step.HasField("evaluation") for step in lineage.steps)
    is_timed = any(step.HasField("latency") for step in lineage.steps)
    by_score = (_score_name(lineage), "change") if is_scored else ()
    by_time = ("p50", "speed") if is_timed else ()
    for name in ("step", "size", *(() if is_timed else ("deflated",)), *by_score, *by_time, "seconds"):
        table.add_column(name, overflow="fold", justify="left" if name == "step" else "right")
    table.add_row(
        Text("the model"),
        Text(format_value(parent.size_bytes, "B")),
        *(() if is_timed else ("",)),
        *((Text(score_text(lineage)), "") if is_scored else ()),
        *(parent_times(lineage) if is_timed else ()),
        "",
    )
    notes: list[RenderableType] = []
    before = lineage.parent_evaluation
    for step in lineage.steps:
        scores = (
            Text(evaluation_text(step.evaluation) if step.HasField("evaluation") else ""),
            Text(change_text(before, step.evaluation)),
        )
        table.add_row(
            Text(step.kind),
            Text(format_value(step.output_size_bytes, "B") if step.output_size_bytes else ""),
            *(() if is_timed else (_deflated(step),)),
            *(scores if is_scored else ()),
            *(times_of(step.latency) if is_timed else ()),
            Text("run before" if step.reused else f"{step.duration_s:.1f}"),
        )
        before = step.evaluation
        if step.plugin:
            notes.append(hanging("- ", f"{step.kind}: of the plugin {_plugin_text(step.plugin)}"))
        notes += [hanging("- ", f"{step.kind}: {note}") for note in step.notes]
        if step.HasField("latency"):
            notes.append(hanging("- ", f"{step.kind}: {latency_text(step.latency)}"))
        if step.evaluation.reason:
            notes.append(hanging("- ", f"{step.kind} was not scored: {step.evaluation.reason}"))
    title = [Text(line, style="bold") for line in name_lines(variant.name, _TITLE_COLUMNS)]
    return Group(*title, table, *notes)


def evaluation_text(evaluation: control_pb2.StepEvaluation) -> str:
    """Return a score with its interval, "not scored" where there is none."""
    if not evaluation.HasField("value"):
        return "not scored"
    has_interval = evaluation.HasField("low") and evaluation.HasField("high")
    estimate = Estimate(
        value=evaluation.value,
        low=evaluation.low if has_interval else None,
        high=evaluation.high if has_interval else None,
        confidence=_CONFIDENCE,
        unit=evaluation.unit or "number",
        observation_count=evaluation.sample_count,
        reason="" if has_interval else "it has no interval",
    )
    return format_estimate(estimate)


def change_text(before: control_pb2.StepEvaluation, after: control_pb2.StepEvaluation) -> str:
    """Return by how much a step changed the score, "" where there are not two of one kind."""
    if not before.HasField("value") or not after.HasField("value") or before.metric != after.metric:
        return ""
    change = after.value - before.value
    return f"{100 * change:+.1f} pp" if after.unit == "fraction" else f"{change:+.3g} {after.unit}".rstrip()


def score_text(lineage: control_pb2.Lineage) -> str:
    """Return what the parent scored, "" where nothing was evaluated."""
    return evaluation_text(lineage.parent_evaluation) if lineage.HasField("parent_evaluation") else ""


def render_tree(
    root: str, artifacts: Mapping[str, control_pb2.Artifact], children: Mapping[str, Sequence[str]], marked: str
) -> RenderableType:
    """Return the family below the artifact ``root`` (a digest); the one that was asked for is marked."""
    tree = Tree(_node(root, artifacts, marked))
    _grow(tree, root, artifacts, children, marked)
    return tree


def last_step(artifact: control_pb2.Artifact) -> str:
    """Return the step that made an artifact, what it took and what came out: "static-int8, 3.5 s, top1 99.7 %"."""
    if not artifact.lineage.steps:
        return ""
    # A step that only looks (sensitivity) comes behind the one that made the file.
    steps = artifact.lineage.steps
    step = next((one for one in steps if one.output_digest == artifact.digest), steps[-1])
    told = f"{step.kind}, {step.duration_s:.1f} s"
    score, speed = step.evaluation, speed_text(step.latency)
    told += f", {score.metric} {evaluation_text(score)}" if score.HasField("value") else ""
    return f"{told}, {speed} on {step.latency.device}" if speed else told


def _grow(
    tree: Tree,
    digest: str,
    artifacts: Mapping[str, control_pb2.Artifact],
    children: Mapping[str, Sequence[str]],
    marked: str,
) -> None:
    for child in children.get(digest, ()):
        _grow(tree.add(_node(child, artifacts, marked)), child, artifacts, children, marked)


def _node(digest: str, artifacts: Mapping[str, control_pb2.Artifact], marked: str) -> RenderableType:
    artifact = artifacts.get(digest)
    if artifact is None:
        return Text(f"{digest[:_SHORT_DIGEST]} (not kept here)", style="dim")
    head = Text(artifact.name, style="bold" if digest == marked else "")
    head.append(f"  {digest[:_SHORT_DIGEST]}  {format_value(artifact.size_bytes, 'B')}", style="dim")
    made = last_step(artifact)
    return Group(head, Text(made, style="dim", overflow="fold")) if made else head


def _deflated(step: control_pb2.LineageStep) -> Text:
    return Text(format_value(step.output_deflated_bytes, "B") if step.output_deflated_bytes else "")


def _plugin_text(plugin: str) -> str:
    """Return "NAME VERSION (sources DIGEST)" of "NAME VERSION SHA256"."""
    told, _, digest = plugin.rpartition(" ")
    return f"{told} (sources {digest[:_SHORT_DIGEST]})"


def _score_name(lineage: control_pb2.Lineage) -> str:
    scores = [step.evaluation for step in lineage.steps if step.HasField("evaluation")]
    named = next((one for one in scores if one.metric), None)
    return f"{named.metric} ({named.split})" if named is not None else "score"
