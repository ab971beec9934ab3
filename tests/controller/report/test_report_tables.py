"""The tables for papers and spreadsheets: every figure with its interval and unit, gaps with their reasons."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.report.latex import escape, render_latex
from steelyard.report.table_csv import render_csv
from steelyard_protocol.v1 import measurement_pb2
from tests.support.measurements import normal, with_energy, with_failures, without_accuracy

NASTY = r'[1] & _all_ #1 100% $x$ {y} \z ~^ <a>|"b" --fast `q` *'


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_every_figure_with_its_ends_in_the_unit_of_its_column() -> None:
    measurement = with_energy()
    row = rows_of(render_csv([measurement]))[3]
    variant = measurement.variants[3]
    assert row["variant"] == "static-int8"
    assert row["verdict"] == "faster"
    for name, estimate in (
        ("accuracy{}_fraction", variant.accuracy),
        ("p50{}_ns", variant.p50_latency),
        ("p90{}_ns", variant.p90_latency),
        ("speedup{}_ratio", variant.speedup),
        ("energy{}_j", variant.energy),
        ("peak_memory{}_bytes", variant.peak_memory),
    ):
        assert float(row[name.format("")]) == estimate.value
        assert float(row[name.format("_low")]) == estimate.low
        assert float(row[name.format("_high")]) == estimate.high
    assert float(row["size_bytes"]) == variant.size_bytes
    assert row["energy_note"].startswith("energy of the SoC")


def test_csv_says_why_a_figure_is_not_there() -> None:
    measurement = without_accuracy()
    rows = rows_of(render_csv([measurement]))
    assert {row["accuracy_fraction"] for row in rows} == {""}
    assert {row["accuracy_note"] for row in rows} == {"no task was given"}
    assert rows[0]["speedup_note"].startswith("the reference")
    assert rows[0]["energy_note"] == measurement.variants[0].energy.reason


def test_csv_of_several_measurements_tells_them_apart() -> None:
    other = normal()
    other.job_id, other.title = "job-2", 'of "two", models'
    rows = rows_of(render_csv([normal(), other]))
    assert [row["job_id"] for row in rows] == ["job-7f3a"] * 4 + ["job-2"] * 4
    assert rows[4]["title"] == 'of "two", models'


def test_csv_keeps_what_failed_with_its_reason() -> None:
    row = rows_of(render_csv([with_failures()]))[1]
    assert row["verdict"] == "failed"
    assert row["failure"].startswith("unsupported: onnxruntime has no kernel")
    assert row["p50_ns"] == ""


def test_latex_has_a_table_a_measurement_with_units_in_the_head_and_intervals_below() -> None:
    text = render_latex([with_energy(), normal()])
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert r"variant & accuracy & p50 & p90 & speed-up & energy & memory & size \\" in text
    assert r" & (\%) & (ms) & (ms) & ($\times$) & (mJ) & (MiB) & (MiB) \\" in text
    row = text.partition("static-int8 & ")[2]
    # Half-way between the ends of the planted intervals; a unit for the whole column.
    assert row.startswith("90.6 & 0.590 & ")
    assert r"\scriptsize 0.586--0.594" in row


def test_latex_says_in_footnotes_why_a_figure_is_not_there() -> None:
    measurement = without_accuracy()
    measurement.variants[1].comparison = measurement_pb2.COMPARISON_VERDICT_UNDECIDED
    text = render_latex([measurement])
    assert text.count(r"n/a\textsuperscript{1}") == 4
    assert r"\textsuperscript{1} no task was given\par" in text
    assert re.search(r"0\.\d+\\textsuperscript\{\d\}", text), "a speed-up that is undecided is marked"
    assert r"} undecided\par" in text
    assert "\N{EM DASH}" not in text


def test_latex_of_a_variant_that_failed_spans_the_table() -> None:
    text = render_latex([with_failures()])
    assert r"float16 & \multicolumn{7}{l}{not measured\textsuperscript{" in text
    assert "onnxruntime has no kernel for Conv in bfloat16" in text


def test_latex_needs_no_other_command_than_booktabs_brings() -> None:
    commands = set(re.findall(r"\\([A-Za-z]+)", render_latex([with_energy(), with_failures(), without_accuracy()])))
    of_booktabs = {"toprule", "midrule", "bottomrule", "addlinespace"}
    of_latex = {"begin", "end", "centering", "caption", "footnotesize", "scriptsize", "setlength", "tabcolsep"}
    of_latex |= {"smallskip", "linewidth", "raggedright", "textsuperscript", "par", "multicolumn", "times"}
    assert commands - of_booktabs - of_latex - {"input", "usepackage"} == set()


@given(text=st.text(max_size=60))
def test_latex_shows_any_text_as_it_is(text: str) -> None:
    shown = escape(text)
    assert shown.isascii()
    plain = re.sub(r"\\text[a-z]+\{\}|\\[{}$&%#_]", "", shown)
    assert not re.search(r"[\\$&%#_^~<>|\"\n\r\t\0]", plain)
    # Every brace that is left is one of a pair.
    assert plain.count("{") == plain.count("}")
    assert "--" not in shown


def test_latex_escapes_what_stands_in_labels_and_titles() -> None:
    measurement = normal()
    measurement.title = "50 % of _it_ \N{GREEK SMALL LETTER MU} caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    measurement.variants[0].label = NASTY
    text = render_latex([measurement])
    assert r"50 \% of \_it\_ ? cafe on pi5-bench" in text
    assert r"{[}1{]} \& \_all\_ \#1 100\% \$x\$ \{y\} \textbackslash{}z" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex with booktabs")
def test_latex_compiles(tmp_path: Path) -> None:
    nasty = with_failures()
    nasty.variants[0].label = NASTY
    (tmp_path / "tables.tex").write_text(render_latex([normal(), with_energy(), without_accuracy(), nasty]))
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n\\input{tables}\n\\end{document}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    # The label alone is wider than a page.
    assert done.stdout.count("Overfull") == 1
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
