"""The arena of ONNX Runtime, from the trace of a session with ``enable_profiling``.

The Python interface has no statistics of the allocator; the events of the trace's nodes have them (1.32):
``mem_arena_held`` is what the arena of the CPU took from the system until then, ``mem_in_use_peak`` what of it was used
at most. Without an arena, and in versions that do not write them, the fields are not there.
"""

from __future__ import annotations

import json
from pathlib import Path

from steelyard_agent.worker.records import Arena

_HELD = "mem_arena_held"


def read_held(trace: Path) -> Arena:
    """Return the most that the arena held in a trace, or why the trace does not tell."""
    try:
        events = json.loads(trace.read_text(encoding="utf-8", errors="replace"))
        held = [int(event["args"][_HELD]) for event in events if _HELD in event.get("args", {})]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Arena(byte_count=None, source=f"ONNX Runtime wrote a profile that cannot be read: {error}")
    if not held:
        return Arena(byte_count=None, source=f"the profile of this version of ONNX Runtime has no {_HELD}")
    return Arena(byte_count=max(held), source=f"{_HELD} of ONNX Runtime's profile, in a run of its own")
