"""The agent of this machine, but for its sensors: those of the tree that is named first. ``python -m`` this runs it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from steelyard_agent.cli import describing, device, local_tools, main, run
from steelyard_agent.meters.contract import System


def run_with_sensors_of(root: Path, arguments: list[str]) -> int:
    """Run the agent's command line with a tree that shows this machine in all but /sys."""
    here = System(root=root, clock_ns=time.monotonic_ns)
    device.this_system = lambda: here
    for module in (local_tools, run):
        module.System = lambda clock_ns: here
    # In this process: a child would see the machine itself.
    run.described_by_child = describing.describe
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run_with_sensors_of(Path(sys.argv[1]), sys.argv[2:]))
