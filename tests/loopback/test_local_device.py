"""The device `local` says what it is before anything was measured on it."""

from __future__ import annotations

import pytest

from steelyard.control.client import Client
from steelyard.errors import NotFoundError


def test_this_machine_introduces_itself_when_it_is_asked_about(client: Client) -> None:
    assert client.devices() == []
    device = client.device("local")
    assert device.description.name == "local"
    assert device.online
    assert any(runtime.version for runtime in device.description.runtimes)
    assert client.device(device.description.device_id[:12]).description == device.description


def test_a_device_that_nobody_knows_is_not_started(client: Client) -> None:
    with pytest.raises(NotFoundError, match="lokal"):
        client.device("lokal")
    assert client.devices() == []
