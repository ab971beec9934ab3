"""Records and rounds with consistent checksums and any nonsense in them: refused, or found to differ, never a crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.bundle import verify_bundle
from steelyard.errors import SteelyardError
from tests.controller.bundle.planted import consistently, manifest_of, members_of, replace_blob, write

RECORD = "jobs/job-0001/record.json"
_NUMBERS = st.sampled_from([0, -1, 2**31, 2**53, -(2**53), 10**18, 1e308, -1e308, 1e-300, "NaN", "Infinity"])
_VALUES = st.one_of(
    _NUMBERS, st.booleans(), st.none(), st.just([]), st.just({}), st.text(max_size=8), st.just("ab" * 32)
)
# Files of a test of Hypothesis stay those of its first example.
_SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("whole") / "bundle.zip").path


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


def answer(path: Path) -> str:
    """What is said of a bundle; anything else than our own errors, warnings of numpy included, goes through."""
    try:
        found = verify_bundle(path)
    except SteelyardError as error:
        return str(error)
    return "agrees" if found.agrees else found.jobs[0].troubles[0]


@_SETTINGS
@given(data=st.data())
def test_any_value_in_any_place_of_a_record_has_an_answer(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    document = json.loads(members_of(whole)[RECORD])
    place = data.draw(st.sampled_from(list(places(document))))
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = data.draw(_VALUES)
    path = tmp_path / "b.zip"
    path.write_bytes(whole.read_bytes())
    consistently(path, {RECORD: json.dumps(document).encode()})
    assert answer(path)
    assert "\n" not in answer(path)


@_SETTINGS
@given(data=st.data())
def test_any_bytes_in_any_blob_have_an_answer(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    blobs = [one.sha256 for one in manifest_of(whole).members if one.name.startswith("blobs/")]
    digest = data.draw(st.sampled_from(blobs))
    content = bytearray(members_of(whole)[f"blobs/{digest}"])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "b.zip"
    path.write_bytes(whole.read_bytes())
    replace_blob(path, digest, bytes(content))
    assert answer(path)
    assert "\n" not in answer(path)
