"""What can be told of a worker's memory here. Source: proc(5), VmHWM and clear_refs."""

from __future__ import annotations

import os
import re

from steelyard_agent.doctor.diagnosis import Answer, Capability
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError, read_text

_NEXT_STEP = "use Linux 4.5 or newer for memory by phase"


def memory(system: System, platform_name: str) -> Capability:
    """Return whether memory can be told by phase, and whether the peak of a block alone can."""
    if platform_name == "darwin":
        return Capability(
            name="memory",
            answer=Answer.PARTLY,
            details=("peak of the whole worker process, from getrusage",),
            reasons=("by phase: macOS has no /proc/self/status",),
            next_step=_NEXT_STEP,
        )
    try:
        status = read_text(system, "/proc/self/status")
    except SourceError as error:
        return Capability(name="memory", answer=Answer.NO, reasons=(f"by phase: {error}",), next_step=_NEXT_STEP)
    if not re.search(r"^VmHWM:", status, re.MULTILINE) or not re.search(r"^RssAnon:", status, re.MULTILINE):
        reason = "by phase: /proc/self/status has no VmHWM or no RssAnon line"
        return Capability(name="memory", answer=Answer.NO, reasons=(reason,), next_step=_NEXT_STEP)
    refusal = _peak_reset_refusal(system)
    if refusal:
        return Capability(
            name="memory",
            answer=Answer.PARTLY,
            details=("resident set by phase, split into anonymous, file and shared",),
            reasons=(f"peak of a block alone: {refusal}",),
            next_step="the peak needs a kernel with CONFIG_PROC_PAGE_MONITOR",
        )
    detail = "resident set by phase, and the peak since the runtime was imported"
    return Capability(name="memory", answer=Answer.YES, details=(detail,))


def _peak_reset_refusal(system: System) -> str:
    """Return why the peak cannot be reset, "" when it can; opening the file for writing changes nothing."""
    try:
        os.close(system.open_descriptor(system.path("/proc/self/clear_refs"), os.O_WRONLY))
    except OSError as error:
        return f"/proc/self/clear_refs cannot be written: {(error.strerror or 'unknown error').lower()}"
    return ""
