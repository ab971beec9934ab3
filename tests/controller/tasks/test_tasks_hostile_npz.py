"""Archives that claim more than there is, or hold more than a machine can."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from steelyard.artifact_formats.errors import InvalidModelError
from steelyard.artifacts import read_artifact
from steelyard.tasks.errors import TaskError
from steelyard.tasks.load import load_task


def _header(shape: str) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_a_header_that_claims_more_than_all_memory_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "lie.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", _header("(99999999999, 1, 12, 12)") + b"1234")
    with pytest.raises(TaskError, match=r"lie\.npz"):
        load_task(path)


def test_an_archive_that_unpacks_to_more_than_the_free_memory_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros((100, 64, 64), np.float32), y=np.zeros(100, np.int64))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1_000_000))
    with pytest.raises(TaskError, match="1000000 bytes of memory free"):
        load_task(path)


@pytest.mark.parametrize("name", ["pipe.npz", "pipe.toml"])
def test_a_pipe_in_the_place_of_data_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(TaskError, match="regular file"):
        load_task(tmp_path / name)


def test_a_pipe_or_a_device_in_the_place_of_a_model_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for path in (tmp_path / "pipe.onnx", Path("/dev/zero")):
        with pytest.raises(InvalidModelError, match="regular file"):
            read_artifact(path)
