"""The allocator keeps the memory of chunks, where it is one that can be told to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Touches a block of 2 MiB again and again, and counts the pages that the kernel had to give for it.
_PROBE = """
import resource
from {module} import tune_allocator
assert tune_allocator() is {tuned}
for _ in range(20):
    bytearray(2 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    bytearray(2 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
_GLIBC = sys.platform == "linux" and "CS_GNU_LIBC_VERSION" in os.confstr_names


@pytest.mark.skipif(not _GLIBC, reason="only glibc is tuned")
@pytest.mark.parametrize("module", ["steelyard.fleet.allocator", "steelyard_agent.link.allocator"])
def test_a_chunk_takes_the_memory_of_the_one_before_it(module: str) -> None:
    probe = _PROBE.format(module=module, tuned=True)
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    # Mapped anew each time, 200 blocks of 512 pages would be some 100,000 faults.
    assert int(done.stdout) < 10_000


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from steelyard.fleet.allocator import tune_allocator

    monkeypatch.setattr(sys, "platform", "darwin")
    assert not tune_allocator()
