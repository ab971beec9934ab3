from __future__ import annotations

import pytest

from steelyard_agent.cores import CoreSelection
from steelyard_agent.state.errors import StateError
from steelyard_agent.state.settings import DeviceSettings, read_settings, write_settings


@pytest.mark.parametrize("selection", [None, *CoreSelection])
def test_settings_are_kept(tmp_path, selection):
    settings = DeviceSettings(core_selection=selection)
    write_settings(tmp_path / "made" / "here", settings)
    assert read_settings(tmp_path / "made" / "here") == settings


def test_without_a_file_the_defaults_hold(tmp_path):
    assert read_settings(tmp_path) == DeviceSettings()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"core_selection": "FAST"}', '{"core_selection": null, "more": 1}'])
def test_a_file_that_is_not_ours_is_named(tmp_path, text):
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(StateError, match=r"settings\.json cannot be read"):
        read_settings(tmp_path)


def test_settings_that_cannot_be_kept_name_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="--state-directory"):
        write_settings(tmp_path / "file", DeviceSettings())
