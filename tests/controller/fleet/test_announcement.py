from __future__ import annotations

import asyncio

import pytest

from steelyard.errors import UsageError
from steelyard.fleet.announcement import SERVICE_TYPE, Announcement


async def test_what_is_announced_is_found_with_addresses_ports_and_the_controllers_id() -> None:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

    found: asyncio.Queue[str] = asyncio.Queue()

    def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Added:
            found.put_nowait(name)

    announcement = Announcement(
        controller_id="c0ffee",
        addresses=["192.168.1.20:7443", "laptop.local:7443"],
        enroll_port=7444,
        interfaces=["127.0.0.1"],
    )
    async with announcement:
        looking = AsyncZeroconf(interfaces=["127.0.0.1"])
        browser = AsyncServiceBrowser(looking.zeroconf, SERVICE_TYPE, handlers=[changed])
        try:
            name = await asyncio.wait_for(found.get(), 60)
            info = AsyncServiceInfo(SERVICE_TYPE, name)
            assert await info.async_request(looking.zeroconf, 10_000)
        finally:
            await browser.async_cancel()
            await looking.async_close()
    assert name == f"c0ffee.{SERVICE_TYPE}"
    assert (info.parsed_addresses(), info.port) == (["192.168.1.20"], 7443)
    assert info.decoded_properties == {"id": "c0ffee", "enroll": "7444"}


def test_names_alone_are_nothing_to_announce() -> None:
    with pytest.raises(UsageError) as caught:
        Announcement(controller_id="c0ffee", addresses=["lab.example.org:443"], enroll_port=444)
    assert caught.value.reason == "nothing_to_announce"
