"""A measurement's record: everything that the analysis takes can be had from it, and nothing of a layer is lost."""

from __future__ import annotations

from dataclasses import fields

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from steelyard.analysis.layer_message import layers_from, layers_message
from steelyard.analysis.measurement import MeasurementInput
from steelyard.analysis.record import read_record
from steelyard.analysis.stop_replay import replay_stop
from steelyard.errors import SteelyardError
from steelyard.layers.contract import Layer, LayerTable
from steelyard_protocol.v1 import common_pb2, control_pb2, result_pb2
from tests.controller.analysis.planted_rounds import latency_rounds, request_of
from tests.controller.bundle.planted import LABELS, METER, planted_client

_COUNTS = st.integers(0, 2**53)
_NAMES = st.text(max_size=12)
_LAYERS = st.builds(
    Layer,
    index=st.integers(0, 10**6),
    name=_NAMES,
    kind=_NAMES,
    inputs=st.lists(_NAMES, max_size=3).map(tuple),
    outputs=st.lists(_NAMES, max_size=3).map(tuple),
    mac_count=st.none() | _COUNTS,
    parameter_count=_COUNTS,
    byte_count=st.none() | _COUNTS,
    weight_dtype=_NAMES,
    weight_shape=st.lists(_COUNTS, max_size=4).map(tuple),
    is_depthwise=st.booleans(),
    reason=_NAMES,
)


@given(layers=st.lists(_LAYERS, max_size=4), parameter_count=_COUNTS)
def test_layers_come_back_as_they_were(layers: list[Layer], parameter_count: int) -> None:
    table = LayerTable(layers=tuple(layers), parameter_count=parameter_count)
    assert layers_from(layers_message("a", table)) == table


def test_the_message_of_a_layer_has_every_field_of_it() -> None:
    assert [one.name for one in fields(Layer)] == [one.name for one in control_pb2.ModelLayer.DESCRIPTOR.fields]
    why = "multiply-accumulates are not known: it is no model"
    assert layers_from(layers_message("a", why)) == why


def test_a_record_fills_everything_that_the_analysis_takes() -> None:
    """A field that is added to the input, and that no record brings, would be lost in every bundle."""
    client = planted_client()
    given = read_record(client.records["job-0001"], client.download)
    for one in fields(MeasurementInput):
        value = getattr(given, one.name)
        assert (value.ByteSize() if isinstance(value, Message) else len(value)) > 0, one.name
    assert set(given.outputs) == set(given.numeric) == set(LABELS)
    assert given.traces[0].meter == METER
    assert given.numeric["original"].reference is not None
    assert given.numeric["original"].others[0].device == "lab-rack-orin-7"
    assert given.layers["original"] == given.numeric["original"].layers


def test_layers_count_only_where_operators_were_asked_for() -> None:
    client = planted_client()
    record = client.records["job-0001"]
    record.request.plan.ClearField("operators")
    given = read_record(record, client.download)
    assert given.layers == {}
    assert isinstance(given.numeric["original"].layers, LayerTable)


@pytest.mark.parametrize(
    ("kind", "sentence"), [("rounds", "is not a round of measurements"), ("traces", "is not a meter's trace")]
)
def test_a_blob_that_is_something_else_is_named(kind: str, sentence: str) -> None:
    client = planted_client()
    record = client.records["job-0001"]
    digest = record.rounds[0].result_digest if kind == "rounds" else record.traces[0].trace_digest
    client.blobs[digest] = b"\xff\xff\xff"
    with pytest.raises(SteelyardError, match=f"blob {digest[:12]} {sentence}"):
        read_record(record, client.download)


def finished_job(job_id: str = "job-0001") -> control_pb2.Job:
    return control_pb2.Job(job_id=job_id, state=control_pb2.JOB_STATE_RECORDED)


def test_looks_are_replayed_where_the_rule_took_them() -> None:
    """Equal models, no margin that so few rounds decide: every planned look up to the most rounds."""
    request = request_of(LABELS, max_round_count=14, minimum_effect=0.001, equivalence_margin=0.0011)
    rounds = latency_rounds(dict.fromkeys(LABELS, 1e6), 14, wobble=0.05)
    found = replay_stop(finished_job(), request, common_pb2.DeviceDescription(), rounds)
    assert found.trouble == ""
    assert found.looks == (0, 6, 10, 14)
    assert found.reason == "14 rounds were measured, the most that were allowed"


def test_added_rounds_are_replayed_from_those_that_there_were() -> None:
    request = request_of(LABELS, max_round_count=14, minimum_effect=0.001, equivalence_margin=0.0011)
    rounds = latency_rounds(dict.fromkeys(LABELS, 1e6), 20, wobble=0.05)
    for one in rounds[14:]:
        one.job_id = "job-0002"
    more = control_pb2.SubmitMeasurementRequest()
    more.CopyFrom(request)
    more.extended_job_id, more.max_round_count, more.min_round_count = "job-0001", 20, 6
    device = common_pb2.DeviceDescription()
    assert replay_stop(finished_job(), request, device, rounds[:14]).looks[-1] == 14
    found = replay_stop(finished_job("job-0002"), more, device, rounds)
    assert found.looks == (14, 20)
    assert found.trouble == ""


def test_an_emulated_device_stops_after_the_fewest_rounds() -> None:
    request = request_of(LABELS)
    rounds = latency_rounds(dict.fromkeys(LABELS, 1e6), 6)
    device = common_pb2.DeviceDescription(emulated_by="qemu-user on x86_64")
    found = replay_stop(finished_job(), request, device, rounds)
    assert found.trouble == ""
    assert "under emulation" in found.reason
    assert replay_stop(finished_job(), request, device, rounds * 2).trouble.startswith(
        "the stop rule ends job job-0001"
    )


def test_a_job_without_timed_rounds_has_nothing_to_replay() -> None:
    job = control_pb2.Job(job_id="job-0001", state=control_pb2.JOB_STATE_CANCELLED)
    found = replay_stop(job, request_of(LABELS), common_pb2.DeviceDescription(), [result_pb2.RoundResult()])
    assert found.looks == (0,)
    assert found.trouble == ""
