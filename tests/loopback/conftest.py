"""A real controller in this process and real agents in processes of their own, over real gRPC on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0")


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with connect(settings=settings) as connected:
        yield connected


@pytest.fixture(scope="module")
def shared_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One controller for the tests of a module that leave no trace on each other; its local agent starts once."""
    settings = Settings(state_directory=tmp_path_factory.mktemp("shared"), agent_listen="127.0.0.1:0")
    with connect(settings=settings) as connected:
        yield connected


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """Write a small model by the name of its maker in tests.support.models."""
    from tests.support import models

    def write(maker: str = "conv_model", name: str = "model.onnx", **settings: int) -> Path:
        path = tmp_path / name
        getattr(models, maker)(path, **settings)
        return path

    return write
