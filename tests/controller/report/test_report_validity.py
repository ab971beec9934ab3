"""Rounds that were left out, as people see them and as tables keep them."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timezone

from rich.console import Console

from steelyard.analysis.measurement import build_measurement
from steelyard.report.html import render_html
from steelyard.report.samples import write_blocks_csv, write_samples_csv
from steelyard.report.terminal import render_measurement
from steelyard_protocol.v1 import result_pb2
from tests.controller.analysis.planted_rounds import given, latency_rounds
from tests.controller.analysis.test_analysis_validity import PAIR, WAITED, spoil


def rounds_with_two_left_out() -> list[result_pb2.RoundResult]:
    rounds = latency_rounds(PAIR, 8)
    spoil([rounds[2], rounds[5]])
    block = next(one for one in rounds[2].blocks if one.label == "fast")
    block.validity.waited_ms, block.validity.run_delay_ns, block.validity.other_load = 9000, 96_000_000, 0.98
    return rounds


def test_a_terminal_of_80_columns_says_how_many_and_why() -> None:
    out = Console(width=80, file=io.StringIO(), force_terminal=False)
    out.print(render_measurement(build_measurement(given(list(PAIR), rounds_with_two_left_out()))))
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(line.split()) for line in lines)
    assert "(6 rounds, 2 repeated, " in text
    left_out = "rounds with a block that was not valid are left out and were repeated (fast 2 contended of 8)"
    assert f"warning: {left_out}, such as fast: {WAITED}" in text


def test_the_report_says_how_many_and_why() -> None:
    measurement = build_measurement(given(list(PAIR), rounds_with_two_left_out()))
    page = render_html([measurement], generated_at=datetime(2026, 1, 1, tzinfo=timezone.utc), controller="c")
    assert "6 and 2 repeated, " in page
    assert f"fast: 2 contended ({WAITED})" in page
    valid = build_measurement(given(list(PAIR), latency_rounds(PAIR, 6)))
    page = render_html([valid], generated_at=datetime(2026, 1, 1, tzinfo=timezone.utc), controller="c")
    assert "Not valid" not in page


def test_every_sample_stays_with_the_verdict_of_its_block() -> None:
    rounds = rounds_with_two_left_out()
    target = io.StringIO()
    write_samples_csv(rounds, target)
    rows = list(csv.DictReader(io.StringIO(target.getvalue())))
    assert len(rows) == 8 * 2 * 100
    spoilt = [row for row in rows if row["validity"] == "contended"]
    assert {(row["round"], row["label"], row["status"]) for row in spoilt} == {
        ("2", "fast", "not_valid"),
        ("5", "fast", "not_valid"),
    }
    assert len(spoilt) == 200


def test_the_table_of_blocks_has_the_evidence_and_empty_cells_for_what_is_not_known() -> None:
    target = io.StringIO()
    write_blocks_csv(rounds_with_two_left_out(), target)
    rows = {(row["round"], row["label"]): row for row in csv.DictReader(io.StringIO(target.getvalue()))}
    told, silent = rows["2", "fast"], rows["5", "fast"]
    assert (told["waited_ms"], told["run_delay_ns"], told["other_load"], told["steal_ns"]) == (
        *("9000", "96000000", "0.98"),
        "",
    )
    assert told["validity_evidence"] == WAITED
    assert (silent["run_delay_ns"], silent["steal_ns"], silent["other_load"]) == ("", "", "")
    assert rows["0", "fast"]["validity"] == ""
