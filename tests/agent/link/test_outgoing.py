import asyncio
import logging

import pytest

from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.link.outgoing import MAX_MESSAGE_BYTES, MessageTooLargeError, Outgoing
from steelyard_protocol.v1.session_pb2 import ConnectRequest, Goodbye, Heartbeat


class Wire:
    def __init__(self) -> None:
        self.written: list[ConnectRequest] = []

    async def write(self, message: ConnectRequest) -> None:
        await asyncio.sleep(0)
        self.written.append(message)


async def test_messages_are_numbered_from_one_and_written_in_order() -> None:
    outgoing, wire = Outgoing(QuietGate()), Wire()
    for activity in ("idle", "running"):
        outgoing.put(ConnectRequest(heartbeat=Heartbeat(activity=activity)))
    outgoing.acknowledge(41)
    writing = asyncio.ensure_future(outgoing.write_all(wire.write))
    await outgoing.settle()
    writing.cancel()
    assert [message.message_id for message in wire.written] == [1, 2, 3]
    assert wire.written[2].acknowledgement.message_id == 41


def test_a_message_over_the_limit_is_never_sent() -> None:
    outgoing = Outgoing(QuietGate())
    with pytest.raises(MessageTooLargeError, match=f"goodbye of [0-9]+ bytes is over the limit of {MAX_MESSAGE_BYTES}"):
        outgoing.put(ConnectRequest(goodbye=Goodbye(reason="x" * MAX_MESSAGE_BYTES)))
    outgoing.put(ConnectRequest(goodbye=Goodbye(reason="short")))
    assert outgoing._queue.get_nowait().message_id == 1


async def test_nothing_is_written_while_a_block_is_timed() -> None:
    gate, wire = QuietGate(), Wire()
    outgoing = Outgoing(gate)
    writing = asyncio.ensure_future(outgoing.write_all(wire.write))
    async with gate.block(timed=True):
        outgoing.put(ConnectRequest(heartbeat=Heartbeat()))
        for _ in range(20):
            await asyncio.sleep(0)
        assert gate.timing
        assert wire.written == []
    await outgoing.settle()
    async with gate.block(timed=False):
        outgoing.put(ConnectRequest(heartbeat=Heartbeat()))
        await outgoing.settle()
    writing.cancel()
    assert len(wire.written) == 2


async def test_a_block_waits_for_a_transfer_and_a_transfer_for_a_block() -> None:
    gate, log = QuietGate(), []

    async def block() -> None:
        async with gate.block(timed=True):
            log.append("block")

    async with gate.traffic():
        waiting = asyncio.ensure_future(block())
        await asyncio.sleep(0)
        log.append("transfer")
    await waiting
    assert log == ["transfer", "block"]


def test_an_acknowledgement_is_told_to_who_waits_for_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    outgoing, read = Outgoing(QuietGate()), []
    outgoing.put(ConnectRequest(heartbeat=Heartbeat()), on_read=lambda: read.append(1))
    outgoing.put(ConnectRequest(goodbye=Goodbye()))
    outgoing.acknowledged(1)
    outgoing.acknowledged(1)
    outgoing.acknowledged(99)
    assert read == [1]
    outgoing.log_unread()
    assert "not acknowledged: goodbye" in caplog.text
    assert "never sent" in caplog.text
