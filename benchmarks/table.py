"""A table of figures, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.results_file import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One benchmark's figures with the command that makes them, how they were measured and what they say."""

    title: str
    command: str
    method: str
    run: Run
    head: list[str]
    rows: list[list[str]]
    verdicts: list[str]

    def __post_init__(self) -> None:
        """Refuse rows that are longer or shorter than the head."""
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"{self.title}: a row has {len(row)} cells, and the head {len(self.head)}: {row}")

    def markdown(self) -> str:
        """Return the section of docs/benchmarks.md."""
        lines = [f"## {self.title}", "", self.method, "", f"Command: `{self.command}`. {self._where()}", ""]
        lines += [f"| {' | '.join(self.head)} |", f"|{'---|' * len(self.head)}"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        lines += ["", *(f"- {verdict}" for verdict in self.verdicts)] if self.verdicts else []
        return "\n".join(lines) + "\n"

    def plain(self) -> str:
        """Return aligned columns."""
        widths = [max(len(row[column]) for row in [self.head, *self.rows]) for column in range(len(self.head))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [self.head, *self.rows]
        ]
        return "\n".join([f"{self.title} ({self._where()})", *lines, *self.verdicts, ""])

    def _where(self) -> str:
        run = self.run
        days = run.first_day if run.first_day == run.last_day else f"{run.first_day} to {run.last_day}"
        used = ", ".join(f"{name} {number}" for name, number in run.versions.items())
        return f"{run.machine}; {used}; {days}; {len(run.rounds)} round{'' if len(run.rounds) == 1 else 's'}."
