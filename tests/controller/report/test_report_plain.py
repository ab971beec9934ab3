from __future__ import annotations

import base64
import json
import math

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.report.plain import document, to_plain
from steelyard_protocol.v1 import blob_pb2, common_pb2, control_pb2, measurement_pb2, plan_pb2, result_pb2
from tests.support import measurements

finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=8)
int64s = st.integers(-(2**63), 2**63 - 1)


@st.composite
def block_results(draw: st.DrawFn) -> result_pb2.BlockResult:
    block = result_pb2.BlockResult(
        label=draw(words),
        status=draw(st.sampled_from(result_pb2.BlockStatus.values())),
        latency_ns=draw(st.lists(int64s, max_size=4)),
        providers=draw(st.lists(words, max_size=3)),
        wall_ns=draw(int64s),
    )
    if draw(st.booleans()):
        block.model_load_ns = draw(int64s)
    if draw(st.booleans()):
        block.warmup_steady = draw(st.booleans())
    if draw(st.booleans()):
        block.started_at.seconds = draw(st.integers(-62_135_596_800, 253_402_300_799))
        block.started_at.nanos = draw(st.integers(0, 999_999_999))
    for value in draw(st.lists(st.none() | finite, max_size=3)):
        block.readings.add(value=value)
    return block


@given(block_results())
@settings(max_examples=150, deadline=None)
def test_plain_data_survives_json_and_says_all_that_the_message_says(block: result_pb2.BlockResult) -> None:
    plain = json.loads(json.dumps(to_plain(block), allow_nan=False))

    assert set(plain) == {field.name for field in block.DESCRIPTOR.fields}
    assert plain["latency_ns"] == list(block.latency_ns)
    assert plain["wall_ns"] == block.wall_ns
    assert plain["model_load_ns"] == (block.model_load_ns if block.HasField("model_load_ns") else None)
    assert plain["warmup_steady"] == (block.warmup_steady if block.HasField("warmup_steady") else None)
    assert (plain["started_at"] is None) == (not block.HasField("started_at"))
    assert result_pb2.BlockStatus.Value(f"BLOCK_STATUS_{plain['status']}") == block.status
    for reading, shown in zip(block.readings, plain["readings"], strict=True):
        assert shown["value"] == (reading.value if reading.HasField("value") else None)


@given(st.dictionaries(words, words, max_size=4))
@settings(max_examples=50, deadline=None)
def test_maps_become_dictionaries(options: dict[str, str]) -> None:
    assert to_plain(plan_pb2.RuntimeSpec(options=options))["options"] == options


def test_maps_of_messages_become_dictionaries_of_dictionaries() -> None:
    planned = plan_pb2.PlannedArtifact(input_shapes={"image": common_pb2.Shape(sizes=[1, 28, 28])})

    assert to_plain(planned)["input_shapes"] == {"image": {"sizes": [1, 28, 28]}}


@pytest.mark.parametrize("name", measurements.every_case())
def test_every_measurement_has_a_plain_form(name: str) -> None:
    plain = to_plain(measurements.every_case()[name])

    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_an_enum_number_that_is_not_known_stays_a_number() -> None:
    job = control_pb2.Job()
    job.ParseFromString(b"\x18\x63")

    assert to_plain(job)["state"] == 99


def test_enums_lose_the_prefix_of_their_type() -> None:
    assert to_plain(control_pb2.Job(state=control_pb2.JOB_STATE_RECORDED))["state"] == "RECORDED"


def test_bytes_are_base64() -> None:
    plain = to_plain(blob_pb2.DownloadResponse(chunk=b"\x00\xff"))

    assert base64.b64decode(plain["chunk"]) == b"\x00\xff"


@pytest.mark.parametrize(("value", "word"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")])
def test_floats_that_json_cannot_hold_are_words(value: float, word: str) -> None:
    assert to_plain(measurement_pb2.Estimate(value=value))["value"] == word


def test_a_timestamp_is_iso_8601_in_utc() -> None:
    event = control_pb2.JobEvent()
    event.at.FromJsonString("2026-11-23T20:31:37.000000005Z")

    assert to_plain(event)["at"] == "2026-11-23T20:31:37.000000005Z"


def test_a_timestamp_that_no_calendar_holds_is_unknown() -> None:
    event = control_pb2.JobEvent()
    event.at.seconds = 2**60

    assert to_plain(event)["at"] is None


def test_the_unset_side_of_a_oneof_is_null() -> None:
    message: Message = measurements.artifact().signature.inputs[0].dimensions[0]

    assert to_plain(message) == {"size": None, "symbol": "batch"}


def test_a_document_carries_its_schema_version_and_kind() -> None:
    assert document("devices", {"devices": []}) == {"schema_version": 1, "kind": "devices", "devices": []}


def test_a_payload_cannot_hide_the_kind() -> None:
    with pytest.raises(ValueError, match="'kind'"):
        document("job", {"kind": "MEASUREMENT"})
