"""`steelyard top`: a watch that reads each log once, and what --json says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.cli.top import Watch
from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.settings import Settings
from steelyard_protocol.v1 import control_pb2
from tests.support.models import linear_model


class OneJob:
    """A client with one running job, whose log grows."""

    def __init__(self) -> None:
        self.log = [control_pb2.JobEvent(cursor=cursor, done=cursor, total=10) for cursor in (1, 2, 3)]
        self.read: list[int] = []

    def controller(self) -> control_pb2.GetControllerResponse:
        return control_pb2.GetControllerResponse(controller_id="c1")

    def devices(self) -> list[control_pb2.Device]:
        return []

    def newest_jobs(self, _count: int) -> list[control_pb2.Job]:
        return [
            control_pb2.Job(job_id="running", state=control_pb2.JOB_STATE_RUNNING),
            control_pb2.Job(job_id="ended", state=control_pb2.JOB_STATE_RECORDED),
        ]

    def events(self, job_id: str, *, after: int) -> control_pb2.ListEventsResponse:
        assert job_id == "running"
        self.read.append(after)
        return control_pb2.ListEventsResponse(events=[one for one in self.log if one.cursor > after][:2])


def test_a_log_is_read_from_where_it_was_left() -> None:
    client = OneJob()
    watch = Watch(client)  # type: ignore[arg-type]
    assert watch.look().last_events["running"].cursor == 3
    assert client.read == [0, 2, 3]
    client.log.append(control_pb2.JobEvent(cursor=7))
    assert watch.look().last_events["running"].cursor == 7
    assert client.read == [0, 2, 3, 3, 7]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with connect(settings=Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0")) as connected:
        yield connected


def test_a_real_controller_is_looked_at_and_its_garbage_collected(client: Client, tmp_path: Path) -> None:
    model = linear_model(tmp_path / "model.onnx")
    artifact = client.add_model(model)
    client.upload_bytes(b"never registered")
    scene = Watch(client).look()
    assert (list(scene.devices), scene.unfinished) == ([], [])
    assert scene.controller_id == client.controller().controller_id
    told = client.collect_garbage(dry_run=True, keep_samples_s=90 * 86400)
    # Both are young: the one that is named is no garbage, the other is not yet.
    assert (told.referenced_blob_count, told.young_blob_count, told.removed_blob_count) == (1, 1, 0)
    assert client.download(artifact.digest)
