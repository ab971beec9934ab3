"""Confidential models on the controller: a flag that spreads to variants and into plans, and never comes off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.control.confidential import removal_text
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2, session_pb2


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def _artifact(letter: str, *, parent: str = "", confidential: bool = False) -> control_pb2.Artifact:
    artifact = control_pb2.Artifact(
        digest=letter * 64,
        name=f"net-{letter}",
        format=common_pb2.ARTIFACT_FORMAT_ONNX,
        size_bytes=1,
        confidential=confidential,
    )
    if parent:
        artifact.lineage.parent_digest = parent * 64
    return artifact


def test_a_variant_of_a_confidential_model_is_confidential(store: Store) -> None:
    store.put_artifact(_artifact("a", confidential=True))
    assert store.put_artifact(_artifact("b", parent="a")).confidential
    assert store.put_artifact(_artifact("c", parent="b")).confidential
    assert not store.put_artifact(_artifact("d", parent="e")).confidential


def test_a_model_becomes_confidential_when_it_is_added_again_and_stays_so(store: Store) -> None:
    assert not store.put_artifact(_artifact("a")).confidential
    assert store.put_artifact(_artifact("a", confidential=True)).confidential
    assert store.put_artifact(_artifact("a")).confidential
    assert store.find_artifact("net-a").confidential


def test_the_history_names_what_went_and_repeats_nothing_that_is_no_digest() -> None:
    digests = ["ab" * 32, "<b>not a digest</b>", *(f"{number:064x}" for number in range(20))]
    text = removal_text(session_pb2.BlobsRemoved(job_id="job-0001", attempt=1, digests=digests))
    assert text.startswith("removed confidential files of job job-0001: abababababab, ")
    assert text.endswith("and 5 more")
    assert "<b>" not in text
