"""Two commands on one state directory: the second is a guest of the first, and neither loses its job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from steelyard.control.connect import connect
from steelyard.control.controller import Controller
from steelyard.control.plans import MeasurementOptions
from steelyard.settings import Settings
from steelyard_protocol.v1 import common_pb2, control_pb2, session_pb2, session_pb2_grpc
from tests.support.anywhere import ANYWHERE

Write = Callable[..., Path]
QUICK = MeasurementOptions(min_round_count=3, max_round_count=3, sample_window_ms=20, gate=ANYWHERE)


def test_a_command_that_is_done_serves_its_guest_to_the_end(settings: Settings, model: Write) -> None:
    told = threading.Event()
    first = connect(settings=settings, on_guests=told.set)
    with connect(settings=settings) as guest:
        handle = guest.measure([guest.add_model(model())], options=QUICK)
        leaving = threading.Thread(target=first.close)
        leaving.start()
        assert told.wait(60)
        assert handle.wait().state == control_pb2.JOB_STATE_RECORDED
        assert handle.measurement().variants[0].p50_latency.HasField("value")
        assert leaving.is_alive()
    leaving.join(30)
    assert not leaving.is_alive()
    with connect(settings=settings) as successor:
        assert successor.job(handle.job_id).state == control_pb2.JOB_STATE_RECORDED


def test_commands_that_start_together_all_find_a_controller(settings: Settings) -> None:
    ids: list[str] = []
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            with connect(settings=settings) as client:
                ids.append(client.controller().controller_id)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert len(ids) == 4
    assert len(set(ids)) == 1


async def test_a_stranger_cannot_take_the_name_of_this_machine(settings: Settings) -> None:
    controller = Controller(settings)
    await controller.start()
    try:
        async with grpc.aio.insecure_channel(controller.agent_address) as channel:
            hello = session_pb2.Hello(device=common_pb2.DeviceDescription(device_id="dev-1", name="local"))
            call = session_pb2_grpc.SessionServiceStub(channel).Connect()
            await call.write(session_pb2.ConnectRequest(message_id=1, hello=hello))
            with pytest.raises(grpc.aio.AioRpcError, match="--name"):
                await call.read()
            raw = channel.stream_stream("/steelyard_protocol.v1.SessionService/Connect")()
            await raw.write(b"\xff" * 100)
            with pytest.raises(grpc.aio.AioRpcError, match="no message") as caught:
                await raw.read()
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    finally:
        await controller.stop()
