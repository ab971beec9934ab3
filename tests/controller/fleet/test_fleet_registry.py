"""Who is connected and who listens: what a device says reaches its own jobs, and nobody looks through all of them."""

from __future__ import annotations

import asyncio

from steelyard.fleet.inbox import LinkLost, LinkUp
from steelyard.fleet.registry import DeviceLink, Fleet
from steelyard_protocol.v1 import session_pb2


async def attached(fleet: Fleet, device_id: str) -> DeviceLink:
    link = DeviceLink(device_id, f"name of {device_id}")
    await fleet.attach(link, session_pb2.Hello())
    return link


async def test_news_of_a_device_reach_every_job_on_it_and_no_other() -> None:
    fleet = Fleet()
    first, second, other = (fleet.listen(f"job-{n}", device) for n, device in enumerate(("pi", "pi", "nano")))
    link = await attached(fleet, "pi")
    for inbox in (first, second):
        assert isinstance(await inbox.get(1), LinkUp)
    fleet.unlisten("job-1")
    await fleet.detach(link, "gone")
    assert isinstance(await first.get(1), LinkLost)
    assert await second.get(0.01) is None
    assert await other.get(0.01) is None


async def test_a_job_that_listens_anew_hears_on_its_new_device_alone() -> None:
    fleet = Fleet()
    before = fleet.listen("job", "pi")
    after = fleet.listen("job", "nano")
    fleet.tell_device("pi", LinkLost(reason="x"))
    fleet.tell_device("nano", LinkLost(reason="y"))
    assert await before.get(0.01) is None
    assert await after.get(1) == LinkLost(reason="y")
    fleet.unlisten("job")
    fleet.unlisten("job")
    assert fleet._inboxes_of == {}


async def test_whoever_waits_for_a_device_is_woken_by_that_one() -> None:
    fleet = Fleet()
    waiting = [asyncio.ensure_future(fleet.wait_for_device(name, 20)) for name in ("pi", "pi", "nano")]
    await asyncio.sleep(0)
    await attached(fleet, "pi")
    found = await asyncio.gather(*waiting[:2])
    assert [one.link.device_id for one in found if one is not None] == ["pi", "pi"]
    assert not waiting[2].done()
    waiting[2].cancel()
    await asyncio.wait(waiting[2:])
    assert (await fleet.wait_for_device("pi", 0)) is fleet.presence("pi")
    assert fleet._awaited == {}


async def test_a_device_that_does_not_come_is_waited_for_a_bounded_time() -> None:
    fleet = Fleet()
    assert await fleet.wait_for_device("pi", 0.01) is None
    assert fleet._awaited == {}
