"""`steelyard bundle` and the tables of `steelyard report`, as a person types them."""

from __future__ import annotations

import csv
import json
import shutil
import socket
from pathlib import Path

import pytest

from steelyard.cli import session
from tests.controller.bundle.planted import consistently, everything_in, members_of, write
from tests.controller.cli.running import Ran, run_command, run_process


@pytest.fixture
def job_id(measured: Ran) -> str:
    return str(measured.document["measurements"][0]["job_id"])


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    """A bundle of planted rounds: verifying needs no controller."""
    return write(tmp_path / "planted.zip").path


def test_a_measurement_is_bundled_verified_and_shown(steelyard, job_id: str, tmp_path: Path) -> None:
    path = tmp_path / "conv.zip"
    written = steelyard("bundle", job_id[:12], "-o", path)
    assert (written.code, written.out) == (0, f"{path}\n")
    # Far from the controller: another working folder, a state directory that does not exist, nothing shared.
    far = tmp_path / "elsewhere"
    far.mkdir()
    shutil.move(path, far / "conv.zip")
    alone = {"STEELYARD_STATE_DIRECTORY": str(tmp_path / "none"), "HOME": str(far)}
    verified = run_process("bundle", "verify", far / "conv.zip", env=alone)
    assert verified.code == 0, verified.err
    first, second, third, last = verified.out.splitlines()
    assert first.startswith("conv on local (")
    assert first.endswith("figures agree")
    assert second.startswith("  stop rule asked after 0, 3 rounds: ")
    assert third.startswith("verified: verdicts and decision follow from the samples")
    assert max(map(len, verified.out.splitlines())) <= 80
    assert last.removeprefix("content ") in written.err
    assert not (tmp_path / "none").exists()
    assert [one.name for one in far.iterdir() if one.suffix == ".zip"] == ["conv.zip"]
    shown = run_process("bundle", "show", far / "conv.zip", "--report", far / "conv.html", env=alone)
    assert shown.code == 0, shown.err
    assert "static-int8" in shown.out
    assert "as claimed; to recompute it: steelyard bundle verify" in shown.err
    assert "<html" in (far / "conv.html").read_text()


def test_write_may_be_said_or_left_out_and_options_may_come_first(steelyard, job_id: str, tmp_path: Path) -> None:
    one, two, three = (tmp_path / f"{name}.zip" for name in "abc")
    assert steelyard("bundle", "write", job_id, "-o", one).code == 0
    assert steelyard("bundle", "-o", two, job_id).code == 0
    assert steelyard("bundle", "conv", "-o", three, "--title", "conv").code == 0
    assert one.read_bytes() == two.read_bytes()


def test_an_anonymous_bundle_of_a_real_measurement_verifies(
    steelyard, job_id: str, state: Path, tmp_path: Path
) -> None:
    path = tmp_path / "conv.zip"
    ran = steelyard("bundle", job_id, "-o", path, "--anonymous", "--with-models", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["is_anonymous"] is True
    content = everything_in(path).lower()
    assert str(state).lower().encode() not in content
    if len(socket.gethostname()) >= 6:
        assert socket.gethostname().lower().encode() not in content
    assert run_command("bundle", "verify", str(path)).code == 0


def test_verifying_as_json_names_every_difference(bundled: Path) -> None:
    good = run_command("bundle", "verify", str(bundled), "--json")
    assert good.code == 0
    assert good.document["agrees"] is True
    assert good.document["kind"] == "bundle_verification"
    assert good.document["relative_tolerance"] == 1e-9
    assert good.document["jobs"][0]["looks"] == [0, 6]
    name = "jobs/job-0001/measurement.json"
    claimed = json.loads(members_of(bundled)[name])
    claimed["variants"][1]["p50_latency"]["value"] = 1.0
    claimed["decision"]["label"] = "original"
    consistently(bundled, {name: json.dumps(claimed).encode()})
    bad = run_command("bundle", "verify", str(bundled), "--json")
    assert bad.code == 1
    assert [one["where"] for one in bad.document["jobs"][0]["differences"]] == [
        "p50_latency of static-int8",
        "decision label",
    ]


def test_what_differs_is_one_sentence_with_both_values_and_how_many(bundled: Path) -> None:
    name = "jobs/job-0001/measurement.json"
    claimed = json.loads(members_of(bundled)[name])
    claimed["variants"][1]["p50_latency"]["value"] = 5e5
    claimed["decision"]["label"] = "original"
    consistently(bundled, {name: json.dumps(claimed).encode()})
    ran = run_command("bundle", "verify", str(bundled))
    assert ran.code == 1
    assert ran.err == ""
    last = ran.out.splitlines()[-1]
    assert last.startswith("not verified: p50_latency of static-int8: claimed 500000 ns (")
    assert "recomputed 59" in last or "recomputed 60" in last
    assert last.endswith("(2 differ in all)")


def test_a_changed_archive_and_a_wrong_file_are_one_line(bundled: Path, tmp_path: Path) -> None:
    content = bundled.read_bytes()
    bundled.write_bytes(content[: len(content) // 2])
    assert "damaged or cut short" in run_command("bundle", "verify", str(bundled)).is_refused(1)
    assert "damaged or cut short" in run_command("bundle", "show", str(bundled)).is_refused(1)
    assert "there is no bundle" in run_command("bundle", "verify", str(tmp_path / "none.zip")).is_refused(2)


def test_a_bundle_that_cannot_be_written_is_one_line(steelyard, job_id: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "cannot be written" in steelyard("bundle", job_id, "-o", tmp_path / "folder").is_refused(2)
    assert "neither a job nor the title" in steelyard("bundle", "nothing", "-o", tmp_path / "b.zip").is_refused(2)
    assert "Missing option" in steelyard("bundle", job_id).is_refused(2)


def test_showing_as_json_is_the_document_of_a_measurement(bundled: Path) -> None:
    document = run_command("bundle", "show", str(bundled), "--json").document
    assert document["kind"] == "measurement"
    assert document["measurements"][0]["variants"][1]["label"] == "static-int8"
    assert document["written_by"]


def test_a_terminal_shows_progress(bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "is_terminal", lambda: True)
    monkeypatch.setattr("steelyard.cli.progress.is_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    ran = run_command("bundle", "verify", str(bundled))
    assert ran.code == 0
    assert "reading planted.zip" in ran.err


def test_tables_are_written_by_suffix_or_by_format(steelyard, job_id: str, tmp_path: Path) -> None:
    assert steelyard("report", job_id, "-o", tmp_path / "t.csv").code == 0
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [row["variant"] for row in rows] == ["original", "static-int8"]
    assert float(rows[1]["p50_low_ns"]) <= float(rows[1]["p50_ns"]) <= float(rows[1]["p50_high_ns"])
    assert steelyard("report", job_id, "--format", "latex", "-o", tmp_path / "made" / "t.txt").code == 0
    assert r"\toprule" in (tmp_path / "made" / "t.txt").read_text()
    ran = steelyard("report", job_id, "--format", "latex")
    assert ran.out == "steelyard-report.tex\n"
    assert Path("steelyard-report.tex").is_file()
    assert [one.name for one in (tmp_path / "made").iterdir()] == ["t.txt"]
