"""The Python API against a controller in this process: paging, cursors, refusals, and what a handle does."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

import steelyard
from steelyard.control import connect as connecting
from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.control.host import ControllerHost
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import DeviceError, IncompleteError, NotFoundError, SteelyardError, UsageError
from steelyard.settings import Settings
from steelyard.store.lock import Holder, StateLockedError, lock_holder
from steelyard_protocol.v1 import control_pb2, control_pb2_grpc
from tests.support.anywhere import ANYWHERE
from tests.support.models import linear_model


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def client(state: Path) -> Iterator[Client]:
    with connect(settings=Settings(state_directory=state, agent_listen="127.0.0.1:0")) as connected:
        yield connected


@pytest.fixture(scope="module")
def models(client: Client, tmp_path_factory: pytest.TempPathFactory) -> list[control_pb2.Artifact]:
    folder = tmp_path_factory.mktemp("models")
    return [client.add_model(linear_model(folder / f"m{seed}.onnx", seed=seed)) for seed in range(3)]


@pytest.fixture
def stub(client: Client) -> control_pb2_grpc.ControlServiceStub:
    return client._control


def test_lists_come_in_pages_of_the_size_that_was_asked_for(
    client: Client, models: list[control_pb2.Artifact], stub: control_pb2_grpc.ControlServiceStub
) -> None:
    names, token = [], ""
    while True:
        page = stub.ListArtifacts(control_pb2.ListArtifactsRequest(page_size=1, page_token=token))
        assert len(page.artifacts) <= 1
        names += [one.name for one in page.artifacts]
        token = page.next_page_token
        if not token:
            break
    assert names == [one.name for one in client.artifacts()]
    assert names[:3] == ["m2", "m1", "m0"]


def test_a_page_token_that_nobody_gave_is_refused(client: Client, stub: control_pb2_grpc.ControlServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ListJobs(control_pb2.ListJobsRequest(page_token="nonsense"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_more_than_a_page_of_anything_is_read_to_its_end(client: Client, models, monkeypatch) -> None:
    from steelyard.control import servicer

    monkeypatch.setattr(servicer, "_DEFAULT_PAGE_SIZE", 1)
    assert len(client.artifacts()) >= 3
    for artifact in models[:2]:
        client.compress(artifact, "float16").wait()
    assert len(client.jobs()) >= 2


def test_the_same_bytes_are_uploaded_and_registered_once(client: Client, models, tmp_path: Path) -> None:
    again = client.add_model(linear_model(tmp_path / "other-name.onnx", seed=0))
    assert (again.digest, again.name) == (models[0].digest, "m0")
    assert client.artifact(models[0].digest[:10]).digest == models[0].digest


def test_a_models_bytes_come_back_as_they_went(client: Client, models) -> None:
    data = client.download(models[0].digest)
    assert hashlib.sha256(data).hexdigest() == models[0].digest


def test_a_large_upload_goes_in_chunks_and_a_finished_one_is_not_sent_again(client: Client) -> None:
    data = bytes(range(256)) * 4000
    digest = client.upload_bytes(data)
    assert client.upload_bytes(data) == digest
    assert client.download(digest) == data


def test_names_that_nobody_has_are_not_found(client: Client, models) -> None:
    for ask in (client.artifact, client.device, client.job, client.task, client.measurement, client.cancel):
        with pytest.raises(NotFoundError, match="nothing"):
            ask("nothing-like-it")


def test_a_compression_is_no_measurement(client: Client, models) -> None:
    handle = client.compress(models[0], "float16")
    handle.wait()
    with pytest.raises(IncompleteError, match="not a measurement"):
        client.measurement(handle.job_id)
    assert list(client.rounds(handle.job_id)) == []


def test_events_are_read_from_a_cursor(client: Client, models) -> None:
    handle = client.compress(models[0], "float16")
    seen: list[control_pb2.JobEvent] = []
    job = handle.wait(seen.append)
    assert job.state == control_pb2.JOB_STATE_RECORDED
    assert seen[-1].state == control_pb2.JOB_STATE_RECORDED
    rest = client.events(handle.job_id, after=seen[0].cursor)
    assert [event.cursor for event in rest.events] == [event.cursor for event in seen[1:]]
    assert rest.finished
    after_all = client.events(handle.job_id, after=seen[-1].cursor, wait_s=5.0)
    assert after_all.finished
    assert not after_all.events


def test_a_wait_for_events_is_bounded(client: Client, models) -> None:
    options = MeasurementOptions(min_round_count=40, max_round_count=40, gate=ANYWHERE)
    handle = client.measure([models[0]], options=options)
    last = 0
    while events := client.events(handle.job_id, after=last, wait_s=0.0).events:
        last = events[-1].cursor
    response = client.events(handle.job_id, after=last + 1000, wait_s=0.05)
    assert not response.finished
    assert not response.events
    assert handle.cancel().state == control_pb2.JOB_STATE_CANCELLED
    with pytest.raises(IncompleteError, match="cancelled"):
        handle.wait()


def test_a_job_that_cannot_work_is_the_callers_error(client: Client, models) -> None:
    options = MeasurementOptions(
        min_round_count=3, max_round_count=3, providers=("NoSuchExecutionProvider",), gate=ANYWHERE
    )
    with pytest.raises(UsageError, match="NoSuchExecutionProvider"):
        client.measure([models[0]], options=options).wait()


def test_it_is_found_by_its_state_directory_or_by_its_socket(client: Client, state: Path) -> None:
    holder = lock_holder(state)
    assert holder is not None
    with connect(f"unix:{holder.socket}") as by_socket, connect(state_directory=state) as by_directory:
        assert by_socket.controller() == by_directory.controller()


def test_the_api_is_there_by_the_packages_name() -> None:
    assert steelyard.connect is connect
    assert steelyard.Client is Client
    assert steelyard.SteelyardError is SteelyardError
    with pytest.raises(AttributeError, match="nonsense"):
        steelyard.nonsense  # noqa: B018


def test_a_holder_that_was_faster_is_the_controller(client: Client, state: Path, monkeypatch) -> None:
    looks: list[Path] = []

    def late(directory: Path) -> Holder | None:
        looks.append(directory)
        return lock_holder(directory) if len(looks) > 1 else None

    monkeypatch.setattr(connecting, "lock_holder", late)
    with connect(state_directory=state) as found:
        assert found.controller().state_directory == str(state)


def test_a_holder_that_never_serves_anybody_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(connecting, "_SETTLE_TIMEOUT_S", 0.05)
    starting = Holder(pid=4711, started="2026-01-01", socket="", agent_address="", temporary=True)
    monkeypatch.setattr(connecting, "lock_holder", lambda _directory: starting)
    with pytest.raises(DeviceError, match="4711"):
        connect(state_directory=tmp_path)


def test_a_holder_that_vanished_meanwhile_is_an_error(client: Client, state: Path, monkeypatch) -> None:
    monkeypatch.setattr(connecting, "lock_holder", lambda _directory: None)
    with pytest.raises(StateLockedError):
        connect(state_directory=state)


def test_a_controller_that_ends_at_once_is_said(tmp_path: Path, monkeypatch) -> None:
    hosts = []

    class Vanishing(ControllerHost):
        def __init__(self, settings: Settings, **rest: object) -> None:
            super().__init__(settings)
            hosts.append(self)

        def start(self) -> None:
            """Never starts: as if it had ended."""

    from steelyard.control import host

    monkeypatch.setattr(host, "ControllerHost", Vanishing)
    with pytest.raises(DeviceError, match="try again"):
        connect(settings=Settings(state_directory=tmp_path, agent_listen="127.0.0.1:0"))
    hosts[0].stop()
    hosts[0]._loop.close()


def test_a_lock_whose_holder_hangs_is_said_with_its_socket(tmp_path: Path, monkeypatch) -> None:
    hanging = Holder(pid=1, started="2026-01-01", socket=str(tmp_path / "dead.sock"), agent_address="", temporary=False)
    monkeypatch.setattr(connecting, "lock_holder", lambda _directory: hanging)
    monkeypatch.setattr(connecting, "_READY_TIMEOUT_S", 0.1)
    with pytest.raises(DeviceError, match=r"dead\.sock"):
        connect(state_directory=tmp_path)


def test_a_controller_of_a_command_stays_for_the_commands_that_use_it(tmp_path: Path) -> None:
    settings = Settings(state_directory=tmp_path, agent_listen="127.0.0.1:0")
    told = threading.Event()
    own = connect(settings=settings, on_guests=told.set)
    guest = connect(settings=settings)
    leaving = threading.Thread(target=own.close)
    leaving.start()
    try:
        assert told.wait(60)
        assert guest.controller().temporary
        assert leaving.is_alive()
    finally:
        guest.close()
        leaving.join(30)
    assert not leaving.is_alive()
    assert lock_holder(tmp_path) is None
