"""Where outputs of numeric checks lie: by model and inputs, each run of a job once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.errors import UsageError
from steelyard.store.numeric_outputs import NumericKey, NumericOutputs
from steelyard.store.store import Store

MODEL, DATA, FIRST, SECOND = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
KEY = NumericKey(artifact_digest=MODEL, data_digest=DATA)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.db")
    yield made
    made.close()


def test_outputs_are_listed_oldest_first_whoever_made_them(store: Store) -> None:
    theirs = NumericOutputs(key=KEY, outputs_digest=FIRST, device_id="dev", job_id="job", label="m", runtime="litert 2")
    ours = NumericOutputs(key=KEY, outputs_digest="", reason="no LiteRT here")
    for one in (theirs, ours):
        store.record_numeric(one)
    assert store.list_numeric(MODEL, DATA) == [theirs, ours]
    assert store.list_numeric(DATA, MODEL) == []


def test_a_repeat_of_one_run_replaces_it_and_counts_as_the_newest(store: Store) -> None:
    fields = {"key": KEY, "device_id": "dev", "label": "m"}
    store.record_numeric(NumericOutputs(outputs_digest=FIRST, job_id="one", **fields))
    other = NumericOutputs(outputs_digest=FIRST, job_id="two", **fields)
    again = NumericOutputs(outputs_digest=SECOND, job_id="one", **fields)
    for one in (other, again):
        store.record_numeric(one)
    assert store.list_numeric(MODEL, DATA) == [other, again]


def test_batches_and_copies_with_layers_are_kept_apart(store: Store) -> None:
    keys = [
        KEY,
        NumericKey(artifact_digest=MODEL, data_digest=DATA, batch_size=4),
        NumericKey(artifact_digest=MODEL, data_digest=DATA, layers_digest=SECOND),
    ]
    for key in keys:
        store.record_numeric(NumericOutputs(key=key, outputs_digest=FIRST))
    assert [one.key for one in store.list_numeric(MODEL, DATA)] == keys


def test_what_is_no_digest_is_refused() -> None:
    with pytest.raises(UsageError, match="numeric check"):
        NumericKey(artifact_digest="../x", data_digest=DATA)


@pytest.mark.parametrize(("digest", "reason"), [("", ""), (FIRST, "and a reason")])
def test_outputs_have_a_digest_or_a_reason(digest: str, reason: str) -> None:
    with pytest.raises(ValueError, match="with the reason"):
        NumericOutputs(key=KEY, outputs_digest=digest, reason=reason)
