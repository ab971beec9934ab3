"""A controller on an event loop of the test's own, and an agent by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steelyard.control.controller import Controller
from steelyard.settings import Settings
from tests.controller.fleet.scripted_agent import ScriptedAgent


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0")


@pytest.fixture
async def controller(settings: Settings) -> AsyncIterator[Controller]:
    made = Controller(settings)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def agent(controller: Controller) -> AsyncIterator[ScriptedAgent]:
    """A device that the controller knows and that is connected."""
    async with ScriptedAgent(controller.agent_address) as made:
        await made.say_hello()
        yield made
