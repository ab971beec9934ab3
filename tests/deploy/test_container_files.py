"""The container files, checked without a container engine: what they copy is there, what they run exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from steelyard.cli.main import cli
from steelyard.cli.serve import serve
from steelyard_agent.cli.arguments import build_parser

ROOT = Path(__file__).parents[2]
FILES = ("Dockerfile.controller", "Dockerfile.agent")


def instructions(name: str) -> list[tuple[str, str]]:
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def last(name: str, word: str) -> list[str]:
    return [str(part) for part in json.loads([rest for one, rest in instructions(name) if one == word][-1])]


@pytest.mark.parametrize("name", FILES)
def test_every_base_is_pinned_to_a_python_and_a_distribution(name: str) -> None:
    bases = [rest.split()[0] for word, rest in instructions(name) if word == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.1[1-3]-slim-[a-z]+", base) for base in bases), bases


@pytest.mark.parametrize("name", FILES)
def test_everything_that_is_copied_is_in_the_repository(name: str) -> None:
    copied = [rest.split() for word, rest in instructions(name) if word == "COPY" and not rest.startswith("--from=")]
    sources = [source for words in copied for source in words[:-1]]
    assert {"agent", "controller", "protos", "device_profiles", "pyproject.toml"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source


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
    assert cli.make_context("steelyard", [*entry[1:], *command]).params["state_directory"].startswith("/var/lib/")
    assert command[0] == "serve"
    assert serve.make_context("serve", command[1:]).params["secure_listen"] == "0.0.0.0:7443"


def test_what_the_agents_image_runs_is_a_command() -> None:
    build_parser().parse_args(last("Dockerfile.agent", "CMD"))


def test_the_compose_file_names_files_that_exist_and_ports_that_are_exposed() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    dockerfile = re.search(r"dockerfile: (\S+)", text)
    assert dockerfile is not None
    assert (ROOT / dockerfile[1]).exists()
    exposed = next(rest.split() for word, rest in instructions("Dockerfile.controller") if word == "EXPOSE")
    assert re.findall(r'"(\d+):\1"', text) == exposed
    volume = next(rest for word, rest in instructions("Dockerfile.controller") if word == "VOLUME")
    assert f"state:{volume}" in text
