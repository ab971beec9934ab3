"""What a measurement under emulation does not say: outputs and accuracy hold there, times, memory and energy do not."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard_protocol.v1 import common_pb2, result_pb2

# The circumstance by which an agent says so beside every block (steelyard_agent/surroundings/emulated.py).
CIRCUMSTANCE = "emulated_by"


def block_emulated_by(block: result_pb2.BlockResult) -> str:
    """Return what emulated the device when the block ran, "" for a real one."""
    return next((one.value for one in block.circumstances if one.name == CIRCUMSTANCE), "")


def as_measured(
    device: common_pb2.DeviceDescription, rounds: Sequence[result_pb2.RoundResult]
) -> common_pb2.DeviceDescription:
    """Return the device with what emulated it while the rounds were measured.

    A device's description is the latest one: an agent that now runs on a real processor, or is no longer told that it
    is emulated, does not turn what was measured before into latencies.
    """
    found = next((by for one in rounds for block in one.blocks if (by := block_emulated_by(block))), "")
    if not found or device.emulated_by:
        return device
    marked = common_pb2.DeviceDescription()
    marked.CopyFrom(device)
    marked.emulated_by = found
    return marked


def not_a_latency(emulated_by: str) -> str:
    """Return why no time is said of a device that ``emulated_by`` ("qemu-user on x86_64") imitates."""
    return f"{_measured_under(emulated_by)}: not a latency"


def not_its_own(emulated_by: str) -> str:
    """Return why neither memory nor energy is said: the emulator's own share is in both."""
    return f"{_measured_under(emulated_by)}: the emulator's own is in it"


def enough_rounds(round_count: int, emulated_by: str) -> str:
    """Return why measuring stops: no round more would settle anything."""
    return f"{round_count} rounds show that every model runs, and times are not read ({_measured_under(emulated_by)})"


def no_decision(device: str, emulated_by: str) -> str:
    """Return the sentence that stands where a choice would."""
    return (
        f"No decision on {device}: it is emulated ({emulated_by}), so only accuracy and size are known of it; "
        "measure on a real device."
    )


def warning(emulated_by: str) -> str:
    """Return what a reader must know before any figure."""
    return (
        f"the device is emulated ({emulated_by}): accuracy and outputs are those of its kernels, "
        "and no time, memory or energy is shown"
    )


def _measured_under(emulated_by: str) -> str:
    return f"measured under emulation ({emulated_by})"
