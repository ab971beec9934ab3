"""A table of figures, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One benchmark's figures with the command that makes them and how they were measured."""

    title: str
    command: str
    method: str
    head: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """Return the section of docs/benchmarks.md."""
        lines = [f"## {self.title}", "", self.method, "", f"Command: `{self.command}`", ""]
        lines += [f"| {' | '.join(self.head)} |", f"|{'---|' * len(self.head)}"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        return "\n".join(lines) + "\n"

    def plain(self) -> str:
        """Return aligned columns."""
        widths = [max(len(row[column]) for row in [self.head, *self.rows]) for column in range(len(self.head))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in [self.head, *self.rows]
        ]
        return "\n".join([self.title, *lines, ""])


def interval_text(value: float, low: float, high: float, unit: str) -> str:
    """Return "1.23 us (1.10 to 1.36)"."""
    return f"{value:.2f} {unit} ({low:.2f} to {high:.2f})"
