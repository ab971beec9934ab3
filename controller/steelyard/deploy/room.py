"""Free space where a deployment writes: folders of one file system share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.deploy.errors import DeployError, UnfitDeviceError
from steelyard.deploy.layout import Layout

_MIB = 2**20
# An installed agent with onnxruntime takes about 350 MB, twice during an upgrade.
_VERSIONS_BYTES = 800 * _MIB
# What came is kept beside a reserve of 64 MiB: with less no blob fits.
_STATE_BYTES = 128 * _MIB
# The wheels that are copied; pip keeps there what it fetches by itself.
_STAGED_BYTES = 150 * _MIB
_FILE_BYTES = _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A folder that is written to, where the file system is mounted that it lies on, and what is free there."""

    folder: str
    file_system: str
    free_bytes: int

    def __post_init__(self) -> None:
        """Refuse what no file system says."""
        if not self.folder.startswith("/") or not self.file_system or self.free_bytes < 0:
            raise ValueError(f"{self.free_bytes} bytes free in {self.folder!r} on {self.file_system!r} cannot be")


def written_folders(layout: Layout) -> dict[str, int]:
    """Return the folders of a layout that are written to, with the bytes that each needs."""
    files = {path.rpartition("/")[0]: _FILE_BYTES for path in (layout.unit, layout.rules) if path}
    return {layout.prefix: _VERSIONS_BYTES, layout.state: _STATE_BYTES, **files}


def parse_rooms(answer: str) -> tuple[Room, ...]:
    """Read what ``scripts.ROOM`` printed: the scratch folder first, then those that it was asked for.

    Raises:
        DeployError: ``strange_device``.
    """
    try:
        return tuple(_room(line.removeprefix("room ")) for line in answer.splitlines() if line.startswith("room "))
    except ValueError as error:
        raise DeployError(
            "strange_device", f"the device told its free space in a way that is not understood ({error}); try `df -Pk`"
        ) from error


def refuse_full(host: str, layout: Layout, rooms: Sequence[Room]) -> None:
    """Refuse a device where what is written does not fit, whichever file system it is that has too little.

    Raises:
        UnfitDeviceError: ``disk_too_small``.
    """
    scratch, *others = rooms
    needed = written_folders(layout)
    wanted = [(scratch, _STAGED_BYTES), *((room, needed[room.folder]) for room in others)]
    for one in rooms:
        here = [(room, size) for room, size in wanted if room.file_system == one.file_system]
        total = sum(size for _, size in here)
        if one.free_bytes < total:
            folders = ", ".join(dict.fromkeys(room.folder for room, _ in here))
            raise UnfitDeviceError(
                "disk_too_small",
                f"{host} has {one.free_bytes // _MIB} MiB free on {one.file_system}, where {folders} would need "
                f"{total // _MIB} MiB: make room there",
            )


def _room(text: str) -> Room:
    free_kib, file_system, folder = text.split("\t")
    return Room(folder=folder, file_system=file_system, free_bytes=int(free_kib) * 1024)
