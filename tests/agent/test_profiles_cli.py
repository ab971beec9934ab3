"""``steelyard-agent profile`` as people use it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from steelyard_agent import __version__
from steelyard_agent.cli import main
from steelyard_agent.cli.arguments import build_parser
from steelyard_agent.cli.describing import chosen_profiles
from steelyard_agent.profiles import load_profiles, read_profile

MINE = 'schema_version = 2\nname = "mine"\ntitle = "My board"\n[match]\ndevice_tree_models = ["My board"]\n'
DEVICE = {
    "name": "kitchen-pi",
    "model": "My board Rev 1.2",
    "architecture": "aarch64",
    "processor": "4x Cortex-A72",
    "logical_core_count": 4,
    "processor_features": ["asimd"],
    "memory_bytes": 2**31,
    "identity": {"device_tree_compatibles": ["maker,board", "maker,chip"], "device_tree_model": "My board Rev 1.2"},
    "runtimes": [],
    "meters": [],
}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "steelyard-agent"


@pytest.fixture
def description(tmp_path: Path) -> Path:
    file = tmp_path / "doctor.json"
    file.write_text(json.dumps({"schema_version": 1, "device": DEVICE}))
    return file


def mine(folder: Path, text: str = MINE) -> Path:
    folder.mkdir(parents=True)
    file = folder / "mine.toml"
    file.write_text(text)
    return file


def test_the_list_has_the_shipped_ones_and_those_of_the_state_directory(state, capsys):
    file = mine(state / "profiles")
    assert main(["profile", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        *sorted({profile.name for profile in load_profiles()} | {"mine"})
    ]
    assert f"yours: {file}" in "\n".join(lines)


def test_the_list_as_json_says_which_are_shipped(tmp_path, capsys):
    file = mine(tmp_path / "boards")
    assert main(["profile", "list", "--json", "--profiles", str(file.parent)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["kind"], document["complaints"]) == (1, "profiles", [])
    assert {"name": "mine", "title": "My board", "origin": str(file), "shipped": False} in document["profiles"]


def test_a_broken_one_is_told_beside_the_list(state, capsys):
    mine(state / "profiles", "schema_version = 2\n")
    assert main(["profile", "list"]) == 0
    captured = capsys.readouterr()
    assert "raspberry-pi-5" in captured.out
    (line,) = captured.err.splitlines()
    assert line.startswith("steelyard-agent: left out: device profile ")
    assert line.endswith("name is missing; docs/profiles.md lists every key")


@pytest.mark.parametrize("name", [profile.name for profile in load_profiles()])
def test_a_profile_is_shown_with_the_source_of_each_entry(name, capsys):
    assert main(["profile", "show", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{name}: ")
    assert max(map(len, lines)) <= 80
    assert sum("source: " in line for line in lines) >= 4


def test_a_profile_as_json_has_the_keys_of_its_file(capsys):
    assert main(["profile", "show", "--json", "rock-5b"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "profile"
    assert document["profile"]["match"]["soc_compatibles"] == ["rockchip,rk3588"]
    assert document["profile"]["power"]["kind"] == "none"


def test_a_profile_that_is_not_there_is_refused_with_those_that_are(capsys):
    assert main(["profile", "show", "raspberry-pi-6"]) == 2
    assert "there is no profile 'raspberry-pi-6'; known: android-generic," in capsys.readouterr().err


def test_a_good_file_is_told_so(tmp_path, capsys):
    file = mine(tmp_path / "boards")
    assert main(["profile", "check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file} fits the schema: mine (My board)\n"
    assert main(["profile", "check", "--json", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["profile"]["name"] == "mine"


def test_a_draft_that_fits_is_not_called_complete(tmp_path, capsys):
    file = mine(tmp_path / "boards", "# TODO: traps\n" + MINE + "# TODO: the rest\n")
    assert main(["profile", "check", str(file)]) == 0
    assert capsys.readouterr().out.endswith("mine (My board); 2 TODO left in it: complete or delete them\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MINE + "colour = 'red'\n", "match has unknown keys ['colour']"),
        (MINE.replace("2", "3"), "schema_version is 3, expected 2"),
        ("", "schema_version is None"),
    ],
)
def test_a_file_that_does_not_fit_is_one_sentence_that_names_the_key(text, said, tmp_path, capsys):
    file = mine(tmp_path / "boards", text)
    assert main(["profile", "check", str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert str(file) in line


def test_a_draft_of_another_devices_description_passes_the_check(tmp_path, description, capsys):
    file = tmp_path / "draft.toml"
    assert main(["profile", "new", "--from", str(description), "-o", str(file)]) == 0
    assert f"steelyard-agent profile check {file}" in capsys.readouterr().out
    profile = read_profile(file)
    assert profile.name == "my-board"
    assert profile.facts["soc"].source.startswith(f"probed on the device by steelyard-agent {__version__} on 20")
    assert main(["profile", "check", str(file)]) == 0


def test_a_draft_of_standard_input_goes_to_standard_output(description, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(description.read_text()))
    assert main(["profile", "new", "--from", "-"]) == 0
    assert 'device_tree_compatibles = ["maker,board"]' in capsys.readouterr().out


def test_a_file_is_never_overwritten_unasked(tmp_path, description, capsys):
    file = tmp_path / "draft.toml"
    file.write_text("mine")
    arguments = ["profile", "new", "--from", str(description), "-o", str(file)]
    assert main(arguments) == 2
    assert file.read_text() == "mine"
    assert "overwrite with --force" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0
    assert read_profile(file).title == "My board Rev 1.2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["doctor.json", "draft.toml"]


@pytest.mark.parametrize("name", ["nowhere.json", "."])
def test_a_description_that_cannot_be_read_is_refused(name, tmp_path, capsys):
    assert main(["profile", "new", "--from", str(tmp_path / name)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_draft_that_cannot_be_written_is_refused(tmp_path, description, capsys):
    assert main(["profile", "new", "--from", str(description), "-o", str(tmp_path / "no" / "x.toml")]) == 2
    assert "cannot be written (No such file or directory)" in capsys.readouterr().err


def test_this_device_is_drafted_when_none_is_named(monkeypatch, capsys):
    monkeypatch.setattr("steelyard_agent.cli.device.runtime_names", tuple)
    assert main(["profile", "new"]) == 0
    assert "# TODO" in capsys.readouterr().out


def test_the_doctor_takes_your_profiles_and_refuses_a_broken_one(tmp_path, state, monkeypatch, capsys):
    monkeypatch.setattr("steelyard_agent.cli.device.runtime_names", tuple)
    file = mine(tmp_path / "boards", MINE.replace('device_tree_models = ["My board"]', "hypervisor = true"))
    assert main(["doctor", "--json", "--profiles", str(file.parent)]) == 0
    device = json.loads(capsys.readouterr().out)["device"]
    assert device["profile"] == ("mine" if device["identity"]["virtual"] else device["profile"])
    file.write_text("schema_version = 2\n")
    assert main(["doctor", "--profiles", str(file.parent)]) == 2
    assert "mine.toml: name is missing" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["list", "show", "check", "new"])
def test_every_action_has_help_with_examples_that_parse(action, capsys):
    with pytest.raises(SystemExit):
        main(["profile", action, "--help"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    examples = [line.split()[1:] for line in lines if line.startswith(f"steelyard-agent profile {action}")]
    assert examples
    for example in examples:
        assert callable(build_parser().parse_args(example).command)


@pytest.mark.parametrize("arguments", [[], ["fly"], ["show"], ["check"], ["list", "x"]])
def test_what_makes_no_sense_is_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["profile", *arguments])
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_an_agent_takes_the_profiles_of_its_user_and_its_own_and_leaves_broken_ones_out(tmp_path, state, caplog):
    mine(state / "profiles", "schema_version = 2\n")
    mine(tmp_path / "own" / "profiles")
    assert "mine" in {one.name for one in chosen_profiles(tmp_path / "own", None)}
    assert "left out: device profile" in caplog.text
