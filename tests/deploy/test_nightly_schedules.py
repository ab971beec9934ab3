"""The schedules that ship with nights: units that systemd takes, files that parse, commands that exist."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.parsed_commands import parse

FOLDER = Path(__file__).parents[2] / "deploy" / "nightly"
COMMAND = re.compile(r"steelyard (?:--controller \S+ )?nightly .*")


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of systemd keep their case
    parser.read_string(text_of(name))
    return parser


def steps_of(document: dict[str, Any]) -> list[str]:
    return [step["run"] for step in document["jobs"]["nightly"]["steps"] if "run" in step]


def commands() -> list[tuple[str, str]]:
    names = sorted(path.name for path in FOLDER.iterdir())
    found = [(name, match[0]) for name in names for match in COMMAND.finditer(text_of(name))]
    return [(name, command) for name, command in found if "`" not in command]


@pytest.mark.parametrize(("name", "command"), commands(), ids=lambda value: str(value)[:40])
def test_every_command_of_a_schedule_parses(name: str, command: str) -> None:
    parse(shlex.split(command)[1:])


def test_each_schedule_runs_a_night() -> None:
    runs = {name for name, command in commands() if "nightly run" in command}
    assert runs == {"steelyard-nightly.service", "crontab", "github-action.yml", "gitlab-ci.yml"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for name in ("steelyard-nightly.service", "steelyard-nightly.timer"):
        (tmp_path / name).write_text(text_of(name), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "steelyard-nightly.timer")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_regression_is_no_failed_unit_and_the_timer_makes_up_for_a_missed_night() -> None:
    service, timer = unit("steelyard-nightly.service"), unit("steelyard-nightly.timer")
    assert service["Service"]["Type"] == "oneshot"
    assert service["Service"]["SuccessExitStatus"] == "1 3"
    assert timer["Timer"]["Persistent"] == "true"


def test_the_cron_lines_have_five_fields_and_a_command() -> None:
    lines = [line for line in text_of("crontab").splitlines() if line and not line.startswith("#")]
    assert len(lines) == 2
    assert all(re.fullmatch(r"(?:[0-9*/,-]+ ){5}steelyard nightly .+", line) for line in lines)


def test_the_github_action_runs_on_a_runner_of_ones_own_and_never_on_pull_requests() -> None:
    document = yaml.safe_load(text_of("github-action.yml"))
    # YAML reads the key "on" as true.
    assert set(document[True]) == {"schedule", "workflow_dispatch"}
    assert document["permissions"] == {"contents": "read"}
    assert "self-hosted" in document["jobs"]["nightly"]["runs-on"]
    assert any("nightly run" in step for step in steps_of(document))


def test_the_gitlab_job_keeps_the_report_and_warns_of_an_incomplete_night() -> None:
    job = yaml.safe_load(text_of("gitlab-ci.yml"))["nightly"]
    assert job["allow_failure"] == {"exit_codes": 3}
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"]["junit"] == "reports/*.xml"
