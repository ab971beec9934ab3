"""The device that tests of the desk work on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.agent.jobs.device import Device


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Device]:
    made = Device(tmp_path)
    yield made
    await made.stop()
