"""The wheel that a device gets."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from steelyard.deploy.agent_wheel import named_wheel, pack_agent_wheel
from steelyard.errors import UsageError


def test_the_wheel_holds_the_agent_and_nothing_of_the_controller(tmp_path: Path) -> None:
    wheel = pack_agent_wheel(tmp_path)
    with zipfile.ZipFile(wheel.path) as archive:
        names = archive.namelist()
        about = f"steelyard-{wheel.version}.dist-info"
        points = archive.read(f"{about}/entry_points.txt").decode()
        metadata = archive.read(f"{about}/METADATA").decode()
    assert "steelyard_agent/cli/run.py" in names
    assert any(name.startswith("steelyard_agent/device_profiles/") for name in names)
    assert not any(name.startswith("steelyard/") or "__pycache__" in name for name in names)
    assert "steelyard-agent = steelyard_agent.cli:main" in points
    assert "steelyard.entry" not in points
    assert "Requires-Dist: grpcio" in metadata


def test_the_same_source_is_the_same_wheel_and_another_file_is_another(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = pack_agent_wheel(tmp_path / "a"), pack_agent_wheel(tmp_path / "b")
    assert first.digest == second.digest
    with zipfile.ZipFile(second.path, "a") as archive:
        archive.writestr("steelyard_agent/more.py", "")
    assert named_wheel(second.path).label != first.label


@pytest.mark.parametrize("name", ["other-1.0-py3-none-any.whl", "steelyard.tar.gz", "steelyard-1.0-py3-none-any.whl"])
def test_what_is_no_wheel_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    if not name.startswith("steelyard-1"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError) as refused:
        named_wheel(tmp_path / name)
    assert refused.value.reason == "not_our_wheel"
