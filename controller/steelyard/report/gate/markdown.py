"""A gate's report as GitHub-flavoured Markdown: for a pull request's comment or a job's summary."""

from __future__ import annotations

from steelyard.gate.gate_report import GateLine, GateReport, LineKind
from steelyard.report.gate.words import KIND_WORDS, change_words, values_words
from steelyard.report.markdown_text import folded, safe_text, text_table
from steelyard.report.page import steered

_HEADS = ("model", "device", "fails if", "base", "head", "change", "verdict")
_MOST_ROWS = 100


def render_gate_markdown(report: GateReport) -> str:
    """Return the report: what failed and what is open first, the rest folded."""
    open_lines = [line for line in report.lines if line.kind is not LineKind.FINE]
    fine = [line for line in report.lines if line.kind is LineKind.FINE]
    parts = [f"## {report.verdict.value}: {safe_text(report.sentence)}\n"]
    parts.append(f"{safe_text(report.base)} against {safe_text(report.head)}, exit code {report.exit_code}.\n")
    parts += [f"- {safe_text(note)}\n" for note in report.notes]
    if open_lines:
        parts.append(_table(open_lines))
        parts.append("".join(f"- {safe_text(_because(line))}\n" for line in open_lines[:_MOST_ROWS]))
    if fine:
        parts.append(folded(f"{len(fine)} fine", _table(fine)))
    return steered("\n".join(parts))


def _table(lines: list[GateLine]) -> str:
    rows = [
        (line.model, line.device, line.condition, *values_words(line), change_words(line), KIND_WORDS[line.kind])
        for line in lines[:_MOST_ROWS]
    ]
    more = f"\nand {len(lines) - _MOST_ROWS:,} more\n" if len(lines) > _MOST_ROWS else ""
    return text_table(_HEADS, rows, figures=("base", "head")) + more


def _because(line: GateLine) -> str:
    job = f" (job {line.job_id[:12]})" if line.job_id else ""
    return f"{line.model} on {line.device}: {line.reason}{job}"
