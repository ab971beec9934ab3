"""Errors over the wire: what the controller raised is what its client raises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import pytest

from steelyard.control.errors_on_wire import abort, raise_from_rpc, status_code
from steelyard.errors import DeviceError, IncompleteError, NotFoundError, SteelyardError, UsageError
from steelyard.tasks.errors import TaskError

KINDS = [NotFoundError, UsageError, IncompleteError, DeviceError, SteelyardError]
Fail = Callable[[SteelyardError | Exception | None], None]


@pytest.fixture
async def failing() -> AsyncIterator[Callable[..., object]]:
    """A server whose only method fails as it is told, and a function that calls it as the client does."""
    planned: list[BaseException] = []

    async def fail(_request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        if not planned:
            await asyncio.Event().wait()
        if isinstance(planned[0], SteelyardError):
            await abort(context, planned[0])
        raise planned[0]

    handler = grpc.unary_unary_rpc_method_handler(fail)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Test", {"Fail": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    def call(address: str, timeout_s: float, method: str) -> None:
        with grpc.insecure_channel(address) as channel:
            try:
                channel.unary_unary(f"/Test/{method}")(b"", timeout=timeout_s)
            except grpc.RpcError as error:
                raise_from_rpc(error)

    async def ask(
        error: BaseException | None,
        *,
        address: str = f"127.0.0.1:{port}",
        timeout_s: float = 20.0,
        method: str = "Fail",
    ) -> None:
        planned[:] = [error] if error is not None else []
        await asyncio.to_thread(call, address, timeout_s, method)

    yield ask
    await server.stop(None)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_every_class_of_error_comes_back_as_itself(failing, kind: type[SteelyardError]) -> None:
    with pytest.raises(kind, match="größer als 5 %; name a smaller one") as caught:
        await failing(kind("too_big", "größer als 5 %; name a smaller one"))
    assert type(caught.value) is kind
    assert caught.value.reason == "too_big"
    assert caught.value.exit_code == kind.exit_code


async def test_a_particular_error_comes_back_as_its_kind(failing) -> None:
    with pytest.raises(UsageError) as caught:
        await failing(TaskError("empty_task", "no samples"))
    assert caught.value.reason == "empty_task"


def test_each_kind_has_a_code_of_its_own() -> None:
    assert len({status_code(kind("r", "m")) for kind in KINDS}) == len(KINDS)


async def test_a_sentence_of_any_length_arrives(failing) -> None:
    with pytest.raises(NotFoundError, match="xxxx"):
        await failing(NotFoundError("not_found", "x" * 100_000))


async def test_a_bug_in_the_controller_is_named_with_its_log(failing) -> None:
    with pytest.raises(SteelyardError, match="its log says more") as caught:
        await failing(ValueError("oops"))
    assert caught.value.reason == "controller_failed"
    assert type(caught.value) is SteelyardError


async def test_a_controller_without_a_method_is_older_than_the_command(failing) -> None:
    with pytest.raises(SteelyardError, match="older than the command") as caught:
        await failing(None, method="NotYet")
    assert caught.value.reason == "controller_too_old"


async def test_a_controller_that_is_gone_is_said_with_what_to_do(failing) -> None:
    with pytest.raises(DeviceError, match="steelyard serve") as caught:
        await failing(None, address="127.0.0.1:9")
    assert caught.value.reason == "controller_unreachable"


async def test_a_controller_that_hangs_is_too_slow(failing) -> None:
    with pytest.raises(DeviceError, match="in time") as caught:
        await failing(None, timeout_s=0.1)
    assert caught.value.reason == "controller_slow"


def test_an_error_without_a_call_is_still_a_sentence() -> None:
    with pytest.raises(SteelyardError, match="broken pipe"):
        raise_from_rpc(grpc.RpcError("broken pipe"))
