"""Memory of this process at phase boundaries, and its high-water mark since the runtime was imported.

Linux: ``/proc/self/status`` (proc_pid_status(5)); the mark VmHWM is reset by writing 5 to ``/proc/self/clear_refs``
(proc_pid_clear_refs(5), needs CONFIG_PROC_PAGE_MONITOR). ``ru_maxrss`` survives exec on Linux and so shows the
supervisor's peak: it is never used there. macOS: only ``ru_maxrss``, which is right there and in bytes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

_PHASE_KEYS = {
    "VmRSS": "resident_bytes",
    "RssAnon": "anonymous_bytes",
    "RssFile": "file_bytes",
    "RssShmem": "shared_bytes",
}
_PEAK_KEY = "VmHWM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The high-water mark of the resident set; None with the reason in ``source`` where it is not known."""

    resident_bytes: int | None
    source: str


@dataclass(slots=True, kw_only=True)
class MemoryLog:
    """Collects the phases of one block. Not for use inside a timed window: a read costs tens of microseconds."""

    proc: Path = Path("/proc/self")
    platform: str = sys.platform
    phases: dict[str, dict[str, int]] = field(default_factory=dict)
    reason: str = ""
    _first_peak_bytes: int | None = None
    _was_reset: bool = False
    _reset_problem: str = ""

    def start(self) -> None:
        """Read the phase "imported" and let the high-water mark begin there."""
        self.read("imported")
        self._first_peak_bytes = self._status().get(_PEAK_KEY)
        try:
            (self.proc / "clear_refs").write_text("5")
        except OSError as error:
            self._reset_problem = error.strerror or str(error)
        else:
            self._was_reset = True

    def read(self, phase: str) -> None:
        """Keep what the system tells now under the name of a phase."""
        status = self._status()
        if "VmRSS" in status:
            self.phases[phase] = {name: status[key] for key, name in _PHASE_KEYS.items() if key in status}
        elif not self.reason:
            self.reason = f"memory by phase: {self.proc / 'status'} has no VmRSS on this system ({self.platform})"

    def peak(self) -> Peak:
        """Return the high-water mark since ``start``."""
        if self.platform == "darwin":
            return _peak_of_rusage()
        peak_bytes = self._status().get(_PEAK_KEY)
        if peak_bytes is None:
            return Peak(resident_bytes=None, source=f"no {_PEAK_KEY} in {self.proc / 'status'}")
        if self._was_reset:
            return Peak(resident_bytes=peak_bytes, source=f"{_PEAK_KEY}, reset when the runtime was imported")
        if self._first_peak_bytes is not None and peak_bytes > self._first_peak_bytes:
            # The mark moved after the import, so the highest point lies after it too.
            return Peak(
                resident_bytes=peak_bytes, source=f"{_PEAK_KEY}, not reset ({self._reset_problem}) but exceeded since"
            )
        return Peak(
            resident_bytes=None,
            source=f"{_PEAK_KEY} could not be reset ({self._reset_problem}) and was higher before the model was loaded",
        )

    def _status(self) -> dict[str, int]:
        try:
            return parse_status((self.proc / "status").read_text())
        except OSError:
            return {}


def parse_status(text: str) -> dict[str, int]:
    """Return the kB fields of ``/proc/PID/status`` in bytes, by their names there; other lines are left out."""
    sizes = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        number, _, unit = value.strip().partition(" ")
        if unit.strip() == "kB" and number.isdecimal():
            sizes[name] = int(number) * 1024
    return sizes


def _peak_of_rusage() -> Peak:
    import resource

    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Peak(resident_bytes=peak_bytes, source="ru_maxrss since the process began; not reset")
