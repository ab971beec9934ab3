"""Experiments in a real database: one of a name, changed only from what is there now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.errors import NotFoundError, UsageError
from steelyard.store.references import find_referenced
from steelyard.store.store import Store
from steelyard_protocol.v1 import experiment_pb2
from tests.controller.store.messages import digest_of

MODEL = digest_of("model")


@pytest.fixture
def store(database_path: Path) -> Iterator[Store]:
    made = Store(database_path, clock_ns=lambda: 1_790_000_000_000_000_000)
    yield made
    made.close()


def given(name: str = "pruning", **values: object) -> experiment_pb2.Experiment:
    fields = {"name": name, "model_digest": MODEL, "task_id": "task", "json": '{"recipes": []}', **values}
    return experiment_pb2.Experiment(**fields)  # type: ignore[arg-type]


def test_an_experiment_comes_back_with_its_version_and_its_time(store: Store) -> None:
    kept = store.experiments.put(given())
    assert (kept.version, kept.json) == (1, '{"recipes": []}')
    assert kept.created_at.ToNanoseconds() == 1_790_000_000_000_000_000
    assert store.experiments.get("pruning") == kept


def test_the_same_again_changes_nothing(store: Store) -> None:
    kept = store.experiments.put(given())
    assert store.experiments.put(given()) == kept
    assert store.experiments.put(kept) == kept


def test_a_change_counts_the_version_on(store: Store) -> None:
    version = store.experiments.put(given()).version
    changed = store.experiments.put(given(version=version, json='{"recipes": [1]}'))
    assert (changed.version, store.experiments.get("pruning").json) == (2, '{"recipes": [1]}')


def test_a_change_of_what_another_command_changed_in_the_meantime_is_refused(store: Store) -> None:
    version = store.experiments.put(given()).version
    store.experiments.put(given(version=version, json='{"recipes": [1]}'))
    with pytest.raises(UsageError, match="changed by another command") as caught:
        store.experiments.put(given(version=version, json='{"recipes": [2]}'))
    assert caught.value.reason == "experiment_changed"
    assert store.experiments.get("pruning").json == '{"recipes": [1]}'


@pytest.mark.parametrize("other", [{"model_digest": digest_of("other")}, {"task_id": "other"}], ids=["model", "task"])
def test_a_name_that_has_another_model_or_task_is_refused(store: Store, other: dict[str, str]) -> None:
    version = store.experiments.put(given()).version
    with pytest.raises(UsageError, match="choose another name") as caught:
        store.experiments.put(given(version=version, **other))
    assert caught.value.reason == "another_experiment"


def test_a_name_that_is_not_there_is_told_with_the_nearest_one(store: Store) -> None:
    store.experiments.put(given())
    with pytest.raises(NotFoundError, match="'prunning'; near: 'pruning'") as caught:
        store.experiments.get("prunning")
    assert caught.value.reason == "experiment_not_found"


def test_experiments_are_listed_in_pages_the_newest_first(store: Store) -> None:
    for name in ("a", "b", "c"):
        store.experiments.put(given(name))
    page, token = store.experiments.page(page_size=2)
    rest, end = store.experiments.page(page_size=2, page_token=token)
    assert [one.name for one in [*page, *rest]] == ["c", "b", "a"]
    assert end == ""


def test_what_an_experiment_names_is_not_swept_away(store: Store, database_path: Path) -> None:
    variant = digest_of("variant")
    store.experiments.put(given(json=f'{{"trainings": ["{variant}"]}}'))

    def nothing(digest: str) -> bytes:
        raise NotFoundError("blob_missing", digest)

    found = find_referenced(database_path, {MODEL, variant, digest_of("nobody's")}, nothing)
    assert found == {MODEL, variant}
