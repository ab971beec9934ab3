from pathlib import Path

import pytest

from steelyard_agent.state.durable import write_durably
from steelyard_agent.state.errors import StateError
from steelyard_agent.state.identity import Identity, IdentityFile


def test_an_identity_is_made_once_and_its_epoch_survives(tmp_path: Path) -> None:
    first = IdentityFile(tmp_path / "device.json")
    assert (first.next_epoch(), first.next_epoch()) == (1, 2)
    again = IdentityFile(tmp_path / "device.json")
    assert again.device_id == first.device_id
    assert again.epoch == 2
    assert again.next_epoch() == 3


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"device_id": "x", "epoch": 1}',
        '{"device_id": "0a8ec8a3-9b43-4d1f-8f0e-7d5be1a0a6c1", "epoch": -1}',
        '{"device_id": "0a8ec8a3-9b43-4d1f-8f0e-7d5be1a0a6c1", "epoch": true}',
        '{"device_id": "0a8ec8a3-9b43-4d1f-8f0e-7d5be1a0a6c1", "epoch": 1, "more": 2}',
        '{"device_id": 7, "epoch": 1}',
    ],
)
def test_a_damaged_identity_is_told_and_never_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "device.json"
    path.write_text(content)
    with pytest.raises(StateError, match=r"device\.json is not a device identity"):
        IdentityFile(path)
    assert path.read_text() == content


def test_an_identity_refuses_a_device_id_that_is_no_uuid() -> None:
    with pytest.raises(ValueError, match="UUID"):
        Identity(device_id="{0A8EC8A3-9B43-4D1F-8F0E-7D5BE1A0A6C1}", epoch=0)


def test_an_epoch_that_cannot_be_written_is_not_given_out(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    identity = IdentityFile(folder / "device.json")
    (folder / "device.json").unlink()
    folder.rmdir()
    with pytest.raises(StateError, match="cannot be written"):
        identity.next_epoch()
    assert identity.epoch == 0


def test_a_durable_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "child").write_text("old")
    with pytest.raises(OSError):
        write_durably(tmp_path / "target", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
