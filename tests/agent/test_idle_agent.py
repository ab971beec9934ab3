"""What the process of an agent that idles holds, and what it was asked."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.cli.arguments import build_parser
from steelyard_agent.cli.describing import Question, described_by_child
from steelyard_agent.cli.idle import module_words
from steelyard_agent.cli.run_options import RunOptions, as_text, from_namespace, from_text
from steelyard_agent.errors import UsageError
from steelyard_agent.jobs.description_message import described_runtimes

TEXTS = st.none() | st.text(min_size=1, max_size=20)


@given(
    st.builds(
        RunOptions, controller=TEXTS, state_directory=TEXTS, adb=TEXTS, profiles=TEXTS, exit_with_stdin=st.booleans()
    )
)
def test_options_travel_to_the_process_that_serves_unchanged(options: RunOptions) -> None:
    assert from_text(as_text(options)) == options


def test_everything_that_run_can_be_asked_travels(tmp_path: Path) -> None:
    words = ["run", "--controller", "127.0.0.1:1", "--state-directory", str(tmp_path), "--log-format", "json", "-v"]
    parsed = build_parser().parse_args([*words, "--exit-with-stdin", "--name", "pi", "--profiles", "boards"])
    told = set(vars(parsed)) - {"command", "idles"}
    assert told == set(RunOptions.__slots__)
    options = from_namespace(parsed)
    assert (options.state_root, options.verbose, options.profiles) == (tmp_path, True, "boards")
    assert (options.log_format, options.exit_with_stdin, options.name) == ("json", True, "pi")


def test_options_of_another_version_are_refused() -> None:
    with pytest.raises(ValueError, match="these are no options of run"):
        from_text('{"speed": 9}')


def _plain() -> dict[str, str]:
    """Return this environment where coverage is not measured in processes of ours: it brings modules of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def test_the_process_that_idles_imports_no_parser_and_nothing_of_a_job() -> None:
    script = "import sys, steelyard_agent.cli.idle, steelyard_agent.cli.run\nprint(*sys.modules)"
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, env=_plain())
    loaded = set(done.stdout.split())
    assert "steelyard_agent.link.agent" in loaded
    unwanted = {"argparse", "psutil", "shutil", "hashlib", "random", "tempfile", "ctypes", "tomllib", "email", "uuid"}
    of_jobs = {"block_runner", "description", "jobs.rounds", "jobs.run", "jobs.plan_check", "profiles", "surroundings"}
    assert loaded & (unwanted | {f"steelyard_agent.{name}" for name in of_jobs}) == set()


def test_a_module_that_others_import_is_loaded_on_first_use() -> None:
    script = """
import sys
from steelyard_agent.late_module import load_late
load_late("ipaddress")
load_late("json")
load_late("no_such_module")
import json, pathlib, urllib.parse
late = sys.modules["ipaddress"]
print("IPv4Network" in vars(late))
import ipaddress
print(ipaddress.ip_address("127.0.0.1").is_loopback, "IPv4Network" in vars(late), late is ipaddress)
print(urllib.parse.urlsplit("http://[::1]:80/").hostname, json.dumps(1), "no_such_module" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=_plain())
    assert done.stdout.split("\n")[:3] == ["False", "True True True", "::1 1 False"], done.stderr


def test_a_child_looks_in_the_current_folder_only_where_its_parent_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/somewhere/bin", *sys.path])
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    assert module_words("a.b", "c") == (sys.executable, *safe, "-m", "a.b", "c")
    monkeypatch.setattr(sys, "path", [os.getcwd(), *sys.path])  # noqa: PTH109 (as sys.path has it)
    assert module_words("a.b") == (sys.executable, "-m", "a.b")


def test_a_device_is_described_by_a_child(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    asked = Question(state_root=str(tmp_path), device_id="d" * 8, name="kitchen-pi")
    told = asyncio.run(described_by_child(asked))
    assert (told.device_id, told.name) == ("d" * 8, "kitchen-pi")
    assert {one.name for one in described_runtimes(told)} >= {"onnxruntime"}


def test_what_keeps_a_device_from_being_described_is_said_by_the_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEELYARD_EMULATED_BY", "\x1b[31m")
    with pytest.raises(UsageError, match="STEELYARD_EMULATED_BY"):
        asyncio.run(described_by_child(Question(state_root=str(tmp_path), device_id="x")))


def test_a_question_without_a_device_is_refused() -> None:
    with pytest.raises(ValueError, match="both are needed"):
        Question(**json.loads('{"state_root": "", "device_id": "x"}'))
