"""One short night on a real agent, interrupted by KILL, gone on with, and told in every form."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from steelyard.control.connect import connect
from steelyard.nightly.report_json import from_json
from steelyard.settings import Settings
from tests.support.addresses import free_address

Write = Callable[..., Path]
_SUITE = """
[suite]
name = "short"
budget = "10m"
[devices]
names = ["local"]
[[model]]
name = "first"
file = "first.onnx"
[[model]]
name = "second"
file = "second.onnx"
[measure]
gate = false
max_contention = "100%"
min_rounds = 3
max_rounds = 3
sample_window = "20ms"
energy = false
numeric_check = false
"""


def command(settings: Settings, *words: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "steelyard",
        "--state-directory",
        str(settings.state_directory),
        "--listen",
        settings.agent_listen,
        *words,
    ]


def test_a_killed_night_is_gone_on_with_and_its_report_is_kept(model: Write, tmp_path: Path) -> None:
    settings = Settings(state_directory=tmp_path / "state", agent_listen=free_address())
    for seed, name in enumerate(("first", "second")):
        model(name=f"{name}.onnx", seed=seed)
    suite = tmp_path / "night.toml"
    suite.write_text(_SUITE, encoding="utf-8")
    run = command(settings, "nightly", "run", str(suite), "--report", str(tmp_path / "reports"))
    killed = subprocess.Popen(run, stderr=subprocess.PIPE, text=True)
    assert killed.stderr is not None
    # Said when the second model's turn comes: the first one is measured by then.
    for line in killed.stderr:
        if "local: second" in line:
            break
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)
    again = subprocess.run([*run, "--json"], capture_output=True, text=True, timeout=200)
    assert again.returncode == 0, again.stderr
    assert "going on with night 1" in again.stderr
    assert "local: first" not in again.stderr
    document = json.loads(again.stdout)
    assert (document["kind"], document["verdict"]) == ("night", "PASS")
    assert document["coverage"] == {"planned_count": 2, "measured_count": 2, "gaps": []}
    assert sorted(path.suffix for path in (tmp_path / "reports").iterdir()) == [".html", ".json", ".md", ".xml"]
    with connect(settings=settings) as client:
        night = client.nightly.night_of("short")
        kept = from_json(client.nightly.report(night).decode())
        titles = [job.title for job in client.jobs() if job.title == "short 1: first"]
    assert kept.header.night_number == 1
    assert len(titles) == 1
    status = subprocess.run(
        command(settings, "nightly", "status", "short", "--max-age", "26h"), capture_output=True, text=True, timeout=60
    )
    assert (status.returncode, status.stdout.startswith("short: night 1 PASS")) == (0, True)
