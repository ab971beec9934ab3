"""The container files, checked without a container engine: what they copy is there, what they run exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from steelyard.cli.main import cli
from steelyard.cli.serve import serve
from steelyard.settings import load_settings
from steelyard_agent.cli.arguments import build_parser
from steelyard_agent.state.directory import default_state_directory

ROOT = Path(__file__).parents[2]
FILES = ("Dockerfile.controller", "Dockerfile.agent")


def instructions(name: str) -> list[tuple[str, str]]:
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def last(name: str, word: str) -> list[str]:
    return [str(part) for part in json.loads([rest for one, rest in instructions(name) if one == word][-1])]


def copied(name: str) -> list[str]:
    """Return what goes from the checkout into an image."""
    words = [rest.split() for word, rest in instructions(name) if word == "COPY" and not rest.startswith("--from=")]
    return [source for sources in words for source in sources[:-1]]


def environment(name: str) -> dict[str, str]:
    said = " ".join(rest for word, rest in instructions(name) if word == "ENV")
    return dict(pair.split("=", 1) for pair in said.split())


def home(name: str) -> str:
    found = re.search(r"useradd .*--home-dir (\S+) steelyard", (ROOT / "deploy" / name).read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


@pytest.mark.parametrize("name", FILES)
def test_every_base_is_pinned_to_a_python_and_a_distribution(name: str) -> None:
    bases = [rest.split()[0] for word, rest in instructions(name) if word == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.1[1-3]-slim-[a-z]+", base) for base in bases), bases


@pytest.mark.parametrize("name", FILES)
def test_everything_that_is_copied_is_in_the_repository_and_reaches_the_engine(name: str) -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert ignored[0] == "*"
    for source in copied(name):
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source
    let_through = [line[1:] for line in ignored if line.startswith("!")]
    assert sorted(let_through) == sorted({source for one in FILES for source in copied(one)})


def test_a_wheel_of_what_is_copied_is_the_wheel_of_the_repository(tmp_path: Path) -> None:
    source, skipped = tmp_path / "source", shutil.ignore_patterns("__pycache__")
    source.mkdir()
    assert copied(FILES[0]) == copied(FILES[1])
    for name in copied(FILES[0]):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=skipped)
        else:
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        points = archive.read(next(one for one in names if one.endswith("/entry_points.txt"))).decode()
    for folder in ("agent/steelyard_agent", "controller/steelyard", "protos/steelyard_protocol"):
        parent = (ROOT / folder).parent
        files = [one for one in (ROOT / folder).rglob("*") if one.is_file() and not fnmatch(str(one), "*__pycache__*")]
        assert {one.relative_to(parent).as_posix() for one in files} <= names, folder
    profiles = {f"steelyard_agent/device_profiles/{one.name}" for one in (ROOT / "device_profiles").glob("*.toml")}
    assert profiles
    assert profiles <= names
    for name in FILES:
        assert f"\n{last(name, 'ENTRYPOINT')[0]} = " in points


@pytest.mark.parametrize("name", FILES)
def test_the_last_stage_runs_as_nobody_special_and_without_a_shell(name: str) -> None:
    users = [rest for word, rest in instructions(name) if word == "USER"]
    assert users == ["steelyard"]
    assert last(name, "ENTRYPOINT")[0] in {"steelyard", "steelyard-agent"}


@pytest.mark.parametrize("name", FILES)
def test_extras_that_are_installed_exist(name: str) -> None:
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    installing = next(rest for word, rest in instructions(name) if word == "RUN" and "pip install" in rest)
    extras = re.search(r"'\.\[([a-z,]+)\]'|\"\.\[\$\{RUNTIME\}\]\"", installing)
    assert extras is not None
    default = [rest.partition("=")[2] for word, rest in instructions(name) if word == "ARG"]
    for extra in extras[1].split(",") if extras[1] else default:
        assert f"\n{extra} = [" in declared, extra


def test_what_the_controllers_image_runs_is_a_command_with_these_flags() -> None:
    entry, command = last("Dockerfile.controller", "ENTRYPOINT"), last("Dockerfile.controller", "CMD")
    assert entry == ["steelyard"]
    cli.make_context("steelyard", [*command])
    assert command[0] == "serve"
    listened = serve.make_context("serve", command[1:]).params["secure_listen"]
    exposed = next(rest.split() for word, rest in instructions("Dockerfile.controller") if word == "EXPOSE")
    # The port after it enrolls.
    port = int(listened.rpartition(":")[2])
    assert exposed == [str(port), str(port + 1)]


def test_commands_within_the_controllers_image_find_the_one_that_runs_in_the_volume() -> None:
    settings = load_settings({}, environ=environment("Dockerfile.controller"))
    volume = next(rest for word, rest in instructions("Dockerfile.controller") if word == "VOLUME")
    assert volume == home("Dockerfile.controller")
    assert settings.state_directory.parent == Path(volume)


def test_the_agents_image_keeps_its_state_in_its_volume() -> None:
    build_parser().parse_args(last("Dockerfile.agent", "CMD"))
    volume = next(rest for word, rest in instructions("Dockerfile.agent") if word == "VOLUME")
    where = default_state_directory(environment("Dockerfile.agent"), Path("/nowhere"))
    assert str(where) == volume == home("Dockerfile.agent")


def test_the_compose_file_names_files_that_exist_and_ports_that_are_exposed() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    dockerfile = re.search(r"dockerfile: (\S+)", text)
    assert dockerfile is not None
    assert (ROOT / dockerfile[1]).exists()
    exposed = next(rest.split() for word, rest in instructions("Dockerfile.controller") if word == "EXPOSE")
    assert re.findall(r'"(\d+):\1"', text) == exposed
    volume = next(rest for word, rest in instructions("Dockerfile.controller") if word == "VOLUME")
    assert f"state:{volume}" in text
    run = re.search(r"command: (\[.*\])", text)
    assert run is not None
    words = json.loads(run[1])
    listened = last("Dockerfile.controller", "CMD")
    assert words[: len(listened)] == listened
    assert serve.make_context("serve", words[1:]).params["advertise"]
