"""What ``doctor`` says on the fake devices, kept as text that a person reads: tests/fixtures/doctor/NAME.txt.

``python -m tests.support.goldens`` writes all of them anew; read the difference before it is committed.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from steelyard_agent.description import RuntimeDescription, describe_device
from steelyard_agent.doctor import Diagnosis, diagnose, diagnosis_lines
from steelyard_agent.profiles import Profile, load_profiles
from tests.support.fake_sysfs import FIXTURES, FakeSysfs, load_tree

# One tree for each family of boards, the others for what may be wrong with a device.
FAMILIES = (
    "raspberry_pi_3b_plus",
    "raspberry_pi_4b",
    "raspberry_pi_5",
    "raspberry_pi_zero_2w",
    "jetson_nano_jetpack4",
    "jetson_nano_newer",
    "jetson_orin_nano",
    "jetson_agx_orin",
    "pixel_8",
    "android_generic",
    "rock_5b",
    "n100",
    "coral_dev_board",
    "beaglebone_ai_64",
    "spacemit_k1",
    "bare_virtual_machine",
    "unknown_board",
)
GOLDENS = (*FAMILIES, "n100_denied", "absurd_values")

RUNTIMES = (
    RuntimeDescription(name="onnxruntime", version="1.22.0", providers=("CPUExecutionProvider",)),
    RuntimeDescription(name="litert", reason="ai-edge-litert is not installed; pip install 'steelyard[litert]'"),
)
_COUNTERS = tuple(f"/sys/class/powercap/intel-rapl:{zone}/energy_uj" for zone in ("0", "0:0", "0:1"))
# What a 32-bit board can have.
_NARROW_RUNTIMES = (
    RuntimeDescription(name="onnxruntime", reason="onnxruntime is not installed; pip install 'steelyard[onnxruntime]'"),
    RuntimeDescription(name="tflite-runtime", version="2.14.0", providers=("XNNPACK",), environment="tflite"),
)
_NARROW = frozenset({"raspberry_pi_zero_2w"})


def golden_path(golden: str) -> Path:
    """Return the file of a golden."""
    return FIXTURES / "doctor" / f"{golden}.txt"


def golden_tree(golden: str, root: Path) -> FakeSysfs:
    """Return the fake device that a golden is of, written under ``root``."""
    tree = load_tree(golden.removesuffix("_denied"), root)
    if golden.endswith("_denied"):
        for counter in _COUNTERS:
            tree.deny(counter)
    return tree


def examine(
    tree: FakeSysfs,
    runtimes: tuple[RuntimeDescription, ...] = RUNTIMES,
    *,
    pointer_bits: int = 64,
    platform_name: str = "linux",
) -> Diagnosis:
    """Return the diagnosis of a fake device, the same on whatever machine the tests run."""
    profiles = _shipped_profiles()
    device = describe_device(tree.system, name="bench", device_id="d-1", runtimes=runtimes, profiles=profiles)
    return diagnose(
        tree.system,
        replace(device, python_version="3.11.9"),
        profiles=profiles,
        pointer_bits=pointer_bits,
        clock_resolution_s=1e-9,
        platform_name=platform_name,
    )


def golden_lines(golden: str, root: Path) -> list[str]:
    """Return what ``doctor`` says now on the fake device of a golden."""
    tree = golden_tree(golden, root)
    if golden in _NARROW:
        return diagnosis_lines(examine(tree, _NARROW_RUNTIMES, pointer_bits=32))
    return diagnosis_lines(examine(tree))


@cache
def _shipped_profiles() -> tuple[Profile, ...]:
    return load_profiles()


def main() -> None:
    """Write every golden."""
    for golden in GOLDENS:
        with tempfile.TemporaryDirectory() as folder:
            text = "\n".join(golden_lines(golden, Path(folder) / "tree"))
        golden_path(golden).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
