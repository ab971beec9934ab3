"""Steps of recipes and scores, by their keys; a lineage that the same recipe tells anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.errors import UsageError
from steelyard.store.finished_steps import StepRecord
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2
from tests.controller.store import messages
from tests.controller.store.messages import digest_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.db", clock_ns=messages.rising_clock())
    yield opened
    opened.close()


def step(output: str, *, key: str = "key", tools: str = "onnx 1") -> StepRecord:
    message = control_pb2.LineageStep(kind="equalize", output_digest=digest_of(output), notes=["a note"])
    return StepRecord(key=digest_of(key), loose_key=digest_of("loose"), tools=tools, message=message)


def test_a_step_is_found_by_its_key_and_the_newest_of_one_key_counts(store: Store) -> None:
    assert store.find_step(digest_of("key")) is None
    store.record_step(step("one"))
    assert store.find_step(digest_of("key")) == step("one")
    store.record_step(step("two"))
    assert store.find_step(digest_of("key")) == step("two")
    assert store.steps_alike(digest_of("loose")) == [step("two")]


def test_steps_that_differ_in_their_tools_alone_are_listed_newest_first(store: Store) -> None:
    store.record_step(step("one", key="old", tools="onnx 1"))
    store.record_step(step("two", key="new", tools="onnx 2"))
    assert [one.tools for one in store.steps_alike(digest_of("loose"))] == ["onnx 2", "onnx 1"]
    assert store.steps_alike(digest_of("nothing")) == []


@pytest.mark.parametrize("field", ["key", "loose_key"])
def test_a_key_that_is_no_digest_is_refused(field: str) -> None:
    fields = {"key": digest_of("a"), "loose_key": digest_of("b"), field: "../x"}
    message = control_pb2.LineageStep(output_digest=digest_of("c"))
    with pytest.raises(UsageError, match="key of a step"):
        StepRecord(tools="", message=message, **fields)


def test_a_score_is_found_by_its_key_and_replaced(store: Store) -> None:
    key = digest_of("score")
    assert store.find_score(key) is None
    for value in (0.5, 0.75):
        score = control_pb2.StepEvaluation(metric="top1", value=value, sample_count=8)
        store.record_score(key, score)
        assert store.find_score(key) == score
    with pytest.raises(UsageError, match="key of a score"):
        store.record_score("no digest", control_pb2.StepEvaluation())


def variant(toml: str, score: float | None, *, reused: bool = False) -> control_pb2.Artifact:
    made = messages.artifact("int8", parent="resnet")
    made.lineage.recipe_toml = toml
    one = made.lineage.steps.add(kind="static-int8", output_digest=made.digest, reused=reused)
    if score is not None:
        one.evaluation.value = score
        made.lineage.parent_evaluation.value = 0.9
    return made


def test_the_same_recipe_tells_a_lineage_anew_and_scores_are_not_lost(store: Store) -> None:
    store.put_artifact(variant("a", None))
    assert store.put_artifact(variant("a", 0.8, reused=True)).lineage.steps[0].evaluation.value == 0.8
    kept = store.put_artifact(variant("a", None, reused=True)).lineage
    assert (kept.steps[0].reused, kept.steps[0].evaluation.value, kept.parent_evaluation.value) == (True, 0.8, 0.9)
    assert store.put_artifact(variant("a", 0.7)).lineage.steps[0].evaluation.value == 0.7
    # Another recipe that gives the same bytes changes nothing of what is known.
    assert store.put_artifact(variant("b", 0.1)).lineage.recipe_toml == "a"
    assert store.find_artifact("int8").lineage.steps[0].evaluation.value == 0.7


def test_steps_behind_that_changed_nothing_are_told_under_the_name_that_there_is(store: Store) -> None:
    store.put_artifact(variant("a", 0.8))
    longer = variant("b", 0.8)
    longer.name = "longer"
    longer.lineage.steps.add(kind="fallback", output_digest=longer.digest, notes=["nothing had to go back"])
    kept = store.put_artifact(longer)
    assert kept.name == "int8"
    assert [step.kind for step in kept.lineage.steps] == ["static-int8", "fallback"]


def test_a_candidate_that_becomes_a_variant_gets_the_name_of_its_recipe_and_others_keep_theirs(store: Store) -> None:
    store.put_artifact(messages.artifact("candidate of m: a copy with 40.0% left", digest=digest_of("int8")))
    store.put_artifact(messages.artifact("mine", digest=digest_of("float")))
    store.put_artifact(variant("a", 0.8))
    assert store.find_artifact("int8").name == "int8"
    assert store.put_artifact(messages.artifact("pruned", digest=digest_of("float"), parent="resnet")).name == "mine"


def test_what_a_device_said_of_a_step_is_not_lost_where_nobody_measured_again(store: Store) -> None:
    measured = variant("a", 0.8)
    measured.lineage.steps[0].latency.job_id = "job-0001"
    store.put_artifact(measured)
    assert store.put_artifact(variant("a", 0.8, reused=True)).lineage.steps[0].latency.job_id == "job-0001"
