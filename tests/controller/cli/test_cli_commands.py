"""Every command, run: results on stdout, JSON that parses, and the right exit code."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.control.client import Client
from steelyard_protocol.v1 import control_pb2
from tests.controller.cli.conftest import QUICK
from tests.controller.cli.running import Ran, run_process
from tests.support.addresses import free_address

ESCAPE = "\x1b"


def job_of(measured: Ran) -> str:
    return measured.document["measurements"][0]["job_id"]


# -- measure --------------------------------------------------------------------------------------------------------


def test_measuring_answers_with_one_document_and_nothing_on_stderr(measured: Ran) -> None:
    assert measured.code == 0, measured.err
    assert measured.err == ""
    document = measured.document
    assert (document["schema_version"], document["kind"]) == (1, "measurement")
    assert document["controller"]["controller_id"]
    (measurement,) = document["measurements"]
    assert measurement["device"]["name"] == "local"
    assert [one["label"] for one in measurement["variants"]] == ["original", "static-int8"]
    for variant in measurement["variants"]:
        assert variant["p50_latency"]["low"] <= variant["p50_latency"]["value"] <= variant["p50_latency"]["high"]
        assert variant["evaluated_count"] == 60
        assert [one["verdict"] for one in variant["requirements"]] == ["MEETS", "MEETS"]
    assert measurement["decision"]["kind"] in {"SHIP", "KEEP_ORIGINAL"}


def test_the_report_was_written_where_it_was_asked_for(measured: Ran) -> None:
    report = Path(measured.document["report"])
    text = report.read_text()
    assert text.lstrip().lower().startswith("<!doctype html")
    assert "static-int8" in text
    assert [path.name for path in report.parent.iterdir()] == [report.name]


def test_a_requirement_that_is_not_met_is_exit_code_1_and_names_the_nearest(steelyard, inputs: Path) -> None:
    ran = steelyard("measure", inputs / "conv.onnx", "--require", "p50<1ns", *QUICK)
    assert ran.code == 1
    assert "original" in ran.out
    assert re.search(r"controller [0-9a-f]{8}, device local \([0-9a-f]{8}, ", ran.out)
    assert ESCAPE not in ran.out
    assert ran.err == ""


def test_a_model_that_could_not_run_is_exit_code_3_and_says_why(steelyard, inputs: Path) -> None:
    ran = steelyard("measure", inputs / "conv.onnx", inputs / "dynamic.onnx", "--json", *QUICK)
    assert ran.code == 3
    good, failed = ran.document["measurements"][0]["variants"]
    assert good["failure"] is None
    assert good["p50_latency"]["value"] > 0
    assert "--shape" in failed["failure"]["message"]
    assert failed["p50_latency"]["value"] is None


def test_a_job_in_which_nothing_runs_is_a_usage_error_of_one_line(steelyard, inputs: Path) -> None:
    line = steelyard("measure", inputs / "dynamic.onnx", *QUICK).is_refused()
    assert "--shape" in line


def test_a_size_for_a_dynamic_input_lets_it_run(steelyard, inputs: Path) -> None:
    ran = steelyard("measure", inputs / "dynamic.onnx", "--shape", "image=1x3x8x8", "--json", *QUICK)
    assert ran.code == 0, ran.err
    planned = ran.document["measurements"][0]["plan"]["artifacts"][0]
    assert planned["input_shapes"] == {"image": {"sizes": [1, 3, 8, 8]}}


def test_comparing_ends_with_the_exit_code_of_its_verdict(steelyard, measured: Ran, inputs: Path) -> None:
    ran = steelyard("compare", "conv", "conv-static-int8", "--json", *QUICK)
    verdict = ran.document["measurements"][0]["variants"][1]["comparison"]
    assert ran.code == {"FASTER": 0, "NO_DIFFERENCE": 0, "SLOWER": 1, "UNDECIDED": 3}[verdict]
    shown = steelyard("job", "show", job_of(ran))
    assert "conv-static-int8" in shown.out or "static-int8" in shown.out


# -- compress and what it made --------------------------------------------------------------------------------------


def test_compressing_names_the_variant_and_the_next_command(steelyard, inputs: Path) -> None:
    ran = steelyard("compress", inputs / "conv.onnx", "--recipe", "float16")
    assert ran.code == 0, ran.err
    assert "conv-float16" in ran.out
    assert ran.out.endswith("measure it: steelyard measure conv conv-float16\n")
    assert ran.err == ""
    data = inputs / "data.npz"
    ran = steelyard("compress", inputs / "conv.onnx", "--recipe", "float16", "--task", data)
    assert ran.out.endswith(f"measure it: steelyard measure conv conv-float16 --task {data}\n")


def test_compressing_as_json_carries_the_lineage(steelyard, inputs: Path) -> None:
    ran = steelyard(
        *("compress", inputs / "conv.onnx", "--recipe", "float16", "--recipe", "static-int8"),
        *("--task", inputs / "data.npz", "--json"),
    )
    document = ran.document
    assert (document["schema_version"], document["kind"]) == (1, "compression")
    float16, static = document["variants"]
    assert float16["lineage"]["parent_digest"] == static["lineage"]["parent_digest"] == document["parent"]["digest"]
    assert static["lineage"]["calibration_sample_count"] == 20


def test_a_variant_is_shown_with_how_it_was_made(steelyard, measured: Ran) -> None:
    shown = steelyard("artifact", "show", "conv-static-int8")
    assert "static-int8" in shown.out
    assert "image" in shown.out
    document = steelyard("artifact", "show", "conv-static-int8", "--json").document
    assert document["artifact"]["lineage"]["recipe_name"] == "static-int8"


# -- lists ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "kind"), [("artifact", "artifacts"), ("device", "devices"), ("job", "jobs")])
def test_lists_are_for_people_and_for_programs(steelyard, measured: Ran, command: str, kind: str) -> None:
    shown = steelyard(command, "list")
    document = steelyard(command, "list", "--json").document
    assert (document["schema_version"], document["kind"]) == (1, kind)
    assert document[kind]
    name = {"artifact": "conv-static", "device": "local", "job": "conv"}[command]
    assert name in shown.out
    assert shown.err == ""
    assert ESCAPE not in shown.out


@pytest.mark.parametrize("command", ["artifact", "device", "job"])
def test_an_empty_list_says_how_to_fill_it(command: str, tmp_path: Path) -> None:
    from tests.controller.cli.running import run_command

    before = ("--state-directory", str(tmp_path / "empty"), "--listen", free_address())
    shown = run_command(*before, command, "list")
    assert shown.code == 0
    assert "`steelyard measure MODEL`" in shown.out
    (document,) = [run_command(*before, command, "list", "--json").document]
    assert document[document["kind"]] == []


def test_a_device_is_shown_with_what_can_run_and_be_measured(steelyard, measured: Ran) -> None:
    shown = steelyard("device", "show", "local")
    assert "onnxruntime" in shown.out
    document = steelyard("device", "show", "local", "--json").document["device"]
    assert document["online"] is True
    assert document["description"]["logical_core_count"] > 0


# -- jobs -----------------------------------------------------------------------------------------------------------


def test_a_measurement_is_shown_again_from_its_recorded_rounds(steelyard, measured: Ran) -> None:
    job_id = job_of(measured)
    again = steelyard("job", "show", job_id[:10], "--json").document["measurements"][0]
    first = measured.document["measurements"][0]
    assert again["variants"] == first["variants"]
    shown = steelyard("job", "show", job_id)
    assert first["decision"]["sentence"].split(":")[0] in " ".join(shown.out.split())


def test_a_compression_is_shown_as_a_job(steelyard, client: Client, measured: Ran) -> None:
    compression = next(one for one in client.jobs() if one.kind == control_pb2.JOB_KIND_COMPRESSION)
    assert "static-int8 of conv" in steelyard("job", "show", compression.job_id).out
    document = steelyard("job", "show", compression.job_id, "--json").document
    assert document["job"]["state"] == "RECORDED"


def test_cancelling_what_has_ended_says_how_it_ended(steelyard, measured: Ran) -> None:
    ran = steelyard("job", "cancel", job_of(measured))
    assert ran.out == f"{job_of(measured)[:12]} had ended already: recorded\n"


def test_every_raw_sample_comes_out_as_csv_and_parquet(
    steelyard, measured: Ran, client: Client, tmp_path: Path
) -> None:
    import pyarrow.parquet

    job_id = job_of(measured)
    kept = [value for one in client.rounds(job_id) for block in one.blocks for value in block.latency_ns]
    ran = steelyard("job", "samples", job_id, "-o", tmp_path / "s.csv")
    assert ran.code == 0
    assert ran.out == ""
    assert f"{len(kept):,} samples" in ran.err
    with (tmp_path / "s.csv").open() as stream:
        assert [int(row["latency_ns"]) for row in csv.DictReader(stream)] == kept
    steelyard("job", "samples", job_id, "-o", tmp_path / "s.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "s.parquet")["latency_ns"].to_pylist() == kept


def test_reports_of_several_jobs_make_one_page(steelyard, measured: Ran, tmp_path: Path) -> None:
    job_id = job_of(measured)
    ran = steelyard("report", job_id, job_id[:8], "-o", tmp_path / "both.html")
    assert ran.out.strip() == str(tmp_path / "both.html")
    assert (tmp_path / "both.html").stat().st_size > 1000


# -- export ---------------------------------------------------------------------------------------------------------


def test_an_export_is_a_folder_whose_script_runs(steelyard, measured: Ran, tmp_path: Path) -> None:
    folder = tmp_path / "shipped"
    ran = steelyard("export", "conv-static-int8", "-o", folder)
    assert ran.code == 0, ran.err
    assert ran.out.strip() == str(folder)
    card = (folder / "MODEL_CARD.md").read_text()
    assert "static-int8" in card
    assert "local" in card
    assert json.loads((folder / "signature.json").read_text())
    done = subprocess.run(
        [sys.executable, str(folder / "infer.py")], capture_output=True, text=True, cwd=folder, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "logits" in done.stdout


# -- as a process ---------------------------------------------------------------------------------------------------


def test_as_a_process_a_document_is_all_there_is(client: Client, state: Path, measured: Ran) -> None:
    ran = run_process("--state-directory", state, "device", "list", "--json")
    assert ran.code == 0
    assert ran.err == ""
    assert ran.document["kind"] == "devices"


def test_colour_is_for_terminals_and_not_with_no_color(client: Client, state: Path, measured: Ran) -> None:
    forced = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    coloured = run_process("--state-directory", state, "job", "show", job_of(measured), env=forced)
    plain = run_process("--state-directory", state, "job", "show", job_of(measured), env={**forced, "NO_COLOR": "1"})
    assert "\x1b[3" in coloured.out
    assert "\x1b[3" not in plain.out
    assert "conv" in plain.out
