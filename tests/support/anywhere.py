"""Measuring on whatever machine runs the tests, also one that others keep busy: what is tested is not the machine.

Tests of the gate and of the verdict (tests/loopback/test_busy_neighbour.py) make their own circumstances.
"""

from steelyard.control.gate_plan import GateOptions

ANYWHERE = GateOptions(wanted=False, max_contention=1.0)
ANYWHERE_FLAGS = ("--no-gate", "--max-contention", "100%")
