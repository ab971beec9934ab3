"""The files that a night's document is written to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.cli.writing import write_text

if TYPE_CHECKING:
    from steelyard.nightly.night_report import NightReport

# What a night can be written as, and the suffix of such a file.
NIGHT_FORMATS = {"html": ".html", "markdown": ".md", "json": ".json", "junit": ".xml"}


def render_night_as(report: NightReport, form: str) -> str:
    """Return a night in one of ``NIGHT_FORMATS``."""
    if form == "html":
        from steelyard.report.night.html import render_night

        return render_night(report)
    if form == "markdown":
        from steelyard.report.night.markdown import render_markdown

        return render_markdown(report)
    if form == "junit":
        from steelyard.report.night.junit import render_junit

        return render_junit(report)
    from steelyard.nightly.report_json import to_json

    return to_json(report) + "\n"


def write_night_files(report: NightReport, folder: Path) -> list[Path]:
    """Write a night in every format into a folder, as SUITE-night-N with the suffix of each; return where.

    Raises:
        UsageError: ``output_unwritable``.
    """
    name = f"{report.header.suite}-night-{report.header.night_number}"
    paths = [folder / f"{name}{suffix}" for suffix in NIGHT_FORMATS.values()]
    for path, form in zip(paths, NIGHT_FORMATS, strict=True):
        write_text(path, render_night_as(report, form), next_step="name another folder")
    return paths
