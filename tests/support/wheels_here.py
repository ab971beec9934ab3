"""Wheels of what is installed here, packed again, so that an offline device can be given them without a network."""

from __future__ import annotations

import zipfile
from importlib.metadata import distribution
from pathlib import Path

NEEDED = ("grpcio", "protobuf", "psutil", "typing_extensions")


def pack_installed(name: str, folder: Path) -> Path:
    """Pack an installed distribution again."""
    installed = distribution(name)
    tag = next(line[5:] for line in (installed.read_text("WHEEL") or "").splitlines() if line.startswith("Tag: "))
    path = folder / f"{name}-{installed.version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in installed.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                archive.write(file.locate(), str(file))
    return path


def pack_empty(name: str, version: str, folder: Path) -> Path:
    """Pack a distribution without a module: for what an agent that waits never imports."""
    path, about = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def changed_wheel(wheel: Path, folder: Path, changes: dict[str, str]) -> Path:
    """Copy a wheel with other contents for some of its files."""
    folder.mkdir()
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(folder / wheel.name, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name, old.read(name)))
    return folder / wheel.name
