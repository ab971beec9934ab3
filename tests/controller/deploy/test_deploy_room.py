"""Free space is looked at wherever a deployment writes, and folders of one file system share it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from steelyard.deploy import scripts
from steelyard.deploy.errors import DeployError, UnfitDeviceError
from steelyard.deploy.layout import Layout, system_layout, user_layout
from steelyard.deploy.room import Room, parse_rooms, refuse_full, written_folders

MIB = 2**20


def rooms(layout: Layout, **free_mib: int) -> tuple[Room, ...]:
    """Return what a device has free, by the first folder of the path; each is a file system of its own."""
    return tuple(
        Room(folder=folder, file_system=f"/{top}", free_bytes=free_mib.get(top, 4000) * MIB)
        for folder in ("/tmp", *written_folders(layout))
        if (top := folder.split("/")[1])
    )


@pytest.mark.parametrize(
    ("full", "named"),
    [("opt", "/opt/steelyard"), ("var", "/var/lib/steelyard-agent"), ("tmp", "/tmp"), ("etc", "/etc/systemd/system")],
)
def test_each_folder_that_is_written_to_may_be_the_one_that_is_full(full: str, named: str) -> None:
    refuse_full("pi", system_layout(), rooms(system_layout()))
    with pytest.raises(UnfitDeviceError, match=rf"pi has 0 MiB free on /{full}, where {named}") as refused:
        refuse_full("pi", system_layout(), rooms(system_layout(), **{full: 0}))
    assert refused.value.reason == "disk_too_small"


def test_folders_of_one_file_system_need_their_room_together() -> None:
    layout = user_layout("/home/pi", has_systemd=True)
    refuse_full("pi", layout, rooms(layout, home=929))
    with pytest.raises(UnfitDeviceError, match=r"would need 929 MiB: make room"):
        refuse_full("pi", layout, rooms(layout, home=928))


def test_what_a_device_says_of_its_room_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    asked = (f"{tmp_path}/there", f"{tmp_path}/not/yet there")
    folders = "\n".join(asked)
    done = subprocess.run(
        ["sh", "-eu", "-c", scripts.ROOM],
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "FOLDERS": folders},
        capture_output=True,
        text=True,
        check=True,
    )
    found = parse_rooms(done.stdout)
    assert [one.folder for one in found] == [str(tmp_path), *asked]
    assert len({one.file_system for one in found}) == 1
    mounted = Path(found[0].file_system)
    assert mounted.is_mount()
    assert tmp_path.is_relative_to(mounted)
    assert found[0].free_bytes > 0


def test_free_space_that_is_no_number_is_told_as_strange() -> None:
    with pytest.raises(DeployError, match="df -Pk") as refused:
        parse_rooms("room some\t/\t/opt\n")
    assert refused.value.reason == "strange_device"
