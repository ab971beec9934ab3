"""How variants were made, as a table of steps and as a tree."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType

from steelyard.report.lineage import last_step, render_steps, render_tree
from steelyard_protocol.v1 import control_pb2

PARENT = control_pb2.Artifact(name="net", digest="0" * 64, size_bytes=1000)


def variant(*, is_scored: bool) -> control_pb2.Artifact:
    """A variant of two steps, made by the first; the second only looks."""
    made = control_pb2.Artifact(name="net-static-int8", digest="1" * 64, size_bytes=400)
    lineage = made.lineage
    lineage.parent_digest = PARENT.digest
    for kind, seconds in (("static-int8", 2.0), ("sensitivity", 7.0)):
        step = lineage.steps.add(kind=kind, output_digest=made.digest, output_size_bytes=400, duration_s=seconds)
        step.notes.append(f"what {kind} noted")
        if is_scored:
            score = step.evaluation
            score.metric, score.split, score.unit, score.sample_count = "top1", "evaluation", "fraction", 100
            score.value, score.low, score.high = 0.9, 0.85, 0.93
    if is_scored:
        lineage.parent_evaluation.CopyFrom(lineage.steps[0].evaluation)
        lineage.parent_evaluation.value = 0.92
    return made


def printed(what: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(what)
    return out.getvalue()


def test_each_step_stands_with_its_score_and_what_it_changed() -> None:
    told = printed(render_steps(PARENT, variant(is_scored=True)))
    assert "top1 (evaluation)" in told
    assert "90.0 % (85.0 to 93.0)" in told
    assert "-2.0 pp" in told
    assert "- static-int8: what static-int8 noted" in told


def test_without_a_task_there_are_no_columns_of_scores() -> None:
    told = printed(render_steps(PARENT, variant(is_scored=False)))
    assert "seconds" in told
    assert "score" not in told
    assert "change" not in told


def test_the_tree_names_the_step_that_made_the_file() -> None:
    made = variant(is_scored=True)
    assert last_step(made) == "static-int8, 2.0 s, top1 90.0 % (85.0 to 93.0)"
    tree = printed(
        render_tree(
            PARENT.digest, {one.digest: one for one in (PARENT, made)}, {PARENT.digest: [made.digest]}, made.digest
        )
    )
    assert "net-static-int8" in tree
    assert "sensitivity" not in tree
