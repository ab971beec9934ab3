"""Which blobs are kin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.control.blob_bases import find_bases
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2


def _digest(letter: str) -> str:
    return letter * 64


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def _put(store: Store, letter: str, name: str, *, parent: str = "", steps: str = "") -> str:
    artifact = control_pb2.Artifact(
        digest=_digest(letter), name=name, format=common_pb2.ARTIFACT_FORMAT_ONNX, size_bytes=1
    )
    if parent:
        made = [control_pb2.LineageStep(output_digest=_digest(step)) for step in steps]
        artifact.lineage.CopyFrom(control_pb2.Lineage(parent_digest=_digest(parent), steps=made))
    return store.put_artifact(artifact).digest


def test_the_nearest_kin_comes_first_and_strangers_not_at_all(store: Store) -> None:
    parent = _put(store, "a", "net")
    step = _put(store, "b", "net-folded", parent="a", steps="b")
    sibling = _put(store, "c", "net-int8", parent="a", steps="c")
    namesake = _put(store, "d", "net-both")
    stranger = _put(store, "e", "other")
    target = _put(store, "f", "net-both", parent="a", steps="bf")
    held = [namesake, stranger, sibling, _digest("9"), target, "no digest", step, parent]
    assert find_bases(store, target, held) == [step, parent, sibling, namesake]


def test_a_parent_may_be_a_delta_to_its_variant(store: Store) -> None:
    parent, variant = _put(store, "a", "net"), _put(store, "b", "net-int8", parent="a")
    assert find_bases(store, parent, [variant]) == [variant]


def test_what_is_no_model_has_no_kin(store: Store) -> None:
    assert find_bases(store, _digest("9"), [_put(store, "a", "net")]) == []
