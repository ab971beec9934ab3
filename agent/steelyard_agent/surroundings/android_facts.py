"""What Android tells about itself to an app without rights (Termux) or to the adb shell. Nothing here raises.

Sources: Android's own commands (getprop, settings, device_config, dumpsys), frameworks/base
services/core/java/com/android/server/am/{PhantomProcessList,OomAdjuster}.java, system/core libprocessgroup
(task_profiles.json: the cpusets top-app, foreground, background, restricted), proc(5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard_agent.commands import CommandAnswer
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError, read_text, text_or_empty

# Android 12 began to kill the child processes of apps ("phantom processes"), 32 of them in all by default.
FIRST_PHANTOM_KILLING_API = 31
HOW_TO_STOP_PHANTOM_KILLING = (
    "to switch it off, from a computer: adb shell settings put global settings_enable_monitor_phantom_procs false"
)
_PHANTOM_PROPERTY = "persist.sys.fflag.override.settings_enable_monitor_phantom_procs"
_PHANTOM_SETTING = ("settings", "get", "global", "settings_enable_monitor_phantom_procs")
_PHANTOM_LIMIT = ("device_config", "get", "activity_manager", "max_phantom_processes")
# Above this the limit is one that somebody raised to get rid of it; Android's own is 32.
_NO_LIMIT = 10_000
_CGROUP_LINE = re.compile(r"^[0-9]+:[^:\n]*\bcpuset\b[^:\n]*:(.+)$", re.MULTILINE)
_REFUSAL = re.compile(
    r"^.*(Permission Denial|SecurityException|can't find service|Failure calling).*$", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomKilling:
    """Whether Android kills the child processes of apps; ``enabled`` None with the ``reason`` where it is not told."""

    enabled: bool | None
    detail: str = ""
    reason: str = ""


def api_level(system: System) -> int | None:
    """Return the Android API level, None on a device that is no Android."""
    text = system.run_command(("getprop", "ro.build.version.sdk")).text
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else None


def cpuset(system: System) -> tuple[str | None, str]:
    """Return the cpuset of this process ("top-app", "/" for the root), or None and why it is not known."""
    try:
        path = read_text(system, "/proc/self/cpuset")
    except SourceError as error:
        match = _CGROUP_LINE.search(text_or_empty(system, "/proc/self/cgroup"))
        if match is None:
            return None, str(error)
        path = match.group(1)
    return (path.strip("/") or "/"), ""


def phantom_killing(system: System, level: int) -> PhantomKilling:
    """Return whether the phantom-process killer is on; what the caller may not ask leaves it unknown."""
    if level < FIRST_PHANTOM_KILLING_API:
        return PhantomKilling(enabled=False, detail=f"Android API {level} has none")
    limit = ask(system, _PHANTOM_LIMIT)
    if re.fullmatch(r"[0-9]+", limit.text) and int(limit.text) >= _NO_LIMIT:
        return PhantomKilling(enabled=False, detail=f"limit of {limit.text} processes")
    setting = ask(system, _PHANTOM_SETTING)
    flags = (setting.text, ask(system, ("getprop", _PHANTOM_PROPERTY)).text)
    if "false" in flags:
        return PhantomKilling(enabled=False, detail="switched off")
    if setting.output is not None or "true" in flags:
        shown = f"limit of {limit.text} processes" if limit.text.isdigit() else "Android's own limit"
        return PhantomKilling(enabled=True, detail=shown)
    return PhantomKilling(enabled=None, reason=setting.reason)


def ask(system: System, command: Sequence[str]) -> CommandAnswer:
    """Ask a program of Android; a refusal that it prints as if it were an answer is no answer."""
    answer = system.run_command(tuple(command))
    refusal = _REFUSAL.search(answer.text)
    if refusal is None:
        return answer
    return CommandAnswer(output=None, reason=f"{' '.join(command)} is refused: {refusal.group().strip()[:200]}")
