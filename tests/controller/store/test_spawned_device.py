"""The device `local` may get a new identity; its name then means the newest."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.errors import UsageError
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2


@pytest.mark.parametrize("order", [("old", "new"), ("new", "old")])
def test_the_name_local_means_the_one_seen_last(tmp_path: Path, order: tuple[str, str]) -> None:
    seen_ns = {"old": 1_000, "new": 2_000}
    store = Store(tmp_path / "steelyard.sqlite3")
    try:
        for device_id in order:
            store.put_device(common_pb2.DeviceDescription(device_id=device_id, name="local"), "1", seen_ns[device_id])
            store.put_device(common_pb2.DeviceDescription(device_id=f"pi-{device_id}", name="pi"), "1", 1)
        assert store.find_device("local").description.device_id == "new"
        with pytest.raises(UsageError, match=r"means several devices: .*; name one by its id"):
            store.find_device("pi")
    finally:
        store.close()
