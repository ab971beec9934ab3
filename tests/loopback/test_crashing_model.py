"""A model that brings its workers down with a real SIGSEGV is kept from that device, and from no other model."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.control.connect import connect
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import SteelyardError
from steelyard.settings import Settings
from steelyard_protocol.v1 import result_pb2
from tests.support import faulty_runtimes
from tests.support.anywhere import ANYWHERE
from tests.support.models import conv_model, linear_model

QUICK = {"min_round_count": 3, "max_round_count": 3, "sample_window_ms": 20, "gate": ANYWHERE, "numeric_check": False}


def test_workers_that_die_of_sigsegv_quarantine_their_model_there_until_it_is_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugin").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(faulty_runtimes.install(tmp_path / "plugin")))
    conv_model(tmp_path / "bad.onnx")
    linear_model(tmp_path / "good.onnx")
    settings = Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0")
    with connect(settings=settings) as client:
        bad, good = client.add_model(tmp_path / "bad.onnx"), client.add_model(tmp_path / "good.onnx")
        first = client.measure([bad], options=MeasurementOptions(runtime="crashing", **QUICK))
        with pytest.raises(SteelyardError, match="SIGSEGV"):
            first.wait()
        blocks = [block for one in client.rounds(first.job_id) for block in one.blocks]
        assert {(block.status, block.error.reason) for block in blocks} == {
            (result_pb2.BLOCK_STATUS_CRASHED, "sigsegv")
        }
        (quarantine,) = client.fleet.quarantines("local")
        assert (quarantine.artifact_digest, quarantine.crash_count) == (bad.digest, 3)
        assert "SIGSEGV" in quarantine.reason
        with pytest.raises(SteelyardError, match="quarantined on device local") as caught:
            client.measure([bad], options=MeasurementOptions(**QUICK)).wait()
        assert caught.value.reason == "artifact_quarantined"
        client.measure([good], options=MeasurementOptions(**QUICK)).wait()
        client.fleet.lift_quarantine("local", bad.digest)
        assert client.measure([bad], options=MeasurementOptions(**QUICK)).wait().job_id
