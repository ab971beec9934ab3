"""Runs another program in this process and writes the peak of its resident memory: watched.py TOLD PROGRAM WORDS.

Imports nothing that a quantizer's environment may lack. VmHWM is that of this program alone (proc(5)), where the
``ru_maxrss`` of a child begins with what its parent had when it forked.
"""

import json
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the program; its errors are its own."""
    told, program, *words = sys.argv[1:]
    sys.argv = [program, *words]
    runpy.run_path(program, run_name="__main__")
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak_kib,) = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    Path(told).write_text(json.dumps({"peak_rss_bytes": peak_kib * 1024}))


main()
