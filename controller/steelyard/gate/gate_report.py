"""What a gate found: its verdict and exit code follow from the lines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from steelyard.errors import EXIT_FINE, EXIT_INCOMPLETE, EXIT_UNMET


class GateVerdict(Enum):
    """The first word."""

    PASS = "PASS"  # noqa: S105 (no password)
    REGRESSED = "REGRESSED"
    INCOMPLETE = "INCOMPLETE"


class LineKind(Enum):
    """What one condition says of one model on one device."""

    FINE = "fine"
    FAILED = "failed"
    UNDECIDED = "undecided"
    NOT_MEASURED = "not_measured"


_EXIT_CODES = {
    GateVerdict.PASS: EXIT_FINE,
    GateVerdict.REGRESSED: EXIT_UNMET,
    GateVerdict.INCOMPLETE: EXIT_INCOMPLETE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLine:
    """One condition on one model and device; values are in ``unit``, ``ratio`` is head over base (or pp)."""

    model: str
    device: str
    condition: str
    metric: str
    kind: LineKind
    reason: str
    unit: str
    before: float | None = None
    after: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    ratio_unit: str = "ratio"
    confidence: float = 0.99
    round_count: int = 0
    job_id: str = ""
    text_before: str = ""
    text_after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """All of a gate; ``notes`` are sentences on what was not compared, ``same_count`` models had the same bytes."""

    base: str
    head: str
    lines: tuple[GateLine, ...]
    notes: tuple[str, ...] = ()
    controller: str = ""
    same_count: int = 0

    @property
    def verdict(self) -> GateVerdict:
        """REGRESSED where a line failed; else INCOMPLETE where one is open, or where base and head share no model."""
        kinds = {line.kind for line in self.lines}
        if LineKind.FAILED in kinds:
            return GateVerdict.REGRESSED
        if not kinds and not self.same_count:
            return GateVerdict.INCOMPLETE
        return GateVerdict.PASS if kinds <= {LineKind.FINE} else GateVerdict.INCOMPLETE

    @property
    def exit_code(self) -> int:
        """The command's."""
        return _EXIT_CODES[self.verdict]

    @property
    def sentence(self) -> str:
        """What stands behind the verdict's word."""
        failed, undecided, silent = (
            sum(line.kind is kind for line in self.lines)
            for kind in (LineKind.FAILED, LineKind.UNDECIDED, LineKind.NOT_MEASURED)
        )
        if not self.lines:
            return f"no model {'differs between' if self.same_count else 'is in both'} base and head"
        conditions = "1 condition" if len(self.lines) == 1 else f"{len(self.lines)} conditions"
        parts = [f"{failed} of {conditions} failed" if failed else ""]
        parts += [f"{undecided} undecided" if undecided else "", f"{silent} not measured" if silent else ""]
        told = ", ".join(filter(None, parts))
        return told or ("the condition holds" if len(self.lines) == 1 else f"all {conditions} hold")
