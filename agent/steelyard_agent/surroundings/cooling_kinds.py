"""What the types of cooling devices mean. A list of what is known: a fan, a backlight and a charger are none of these.

Types are those that Linux drivers register: cpufreq_cooling ("thermal-cpufreq-0", since 5.12 "cpufreq-cpu0"),
cpuidle_cooling ("thermal-idle-0", "idle-cpu0"), devfreq_cooling ("thermal-devfreq-0", "devfreq-17000000.gpu"), ACPI
("Processor"), intel_powerclamp; "thermal-gpufreq-0" of Exynos and Tensor; of Jetson boards "cpu-throttle-alert"
(JetPack 5 and later), "cpu-balanced" and "tegra_heavy" (JetPack 4), "throttle-heavy" (mainline).
"""

from __future__ import annotations

import re
from enum import Enum


class CoolingKind(Enum):
    """What a cooling device slows down."""

    # The kernel's own way to slow this processor down: at rest it says that nothing is slowed down.
    PROCESSOR = "processor"
    # Beside it the firmware of a PC slows the processor down by itself: at rest it says nothing.
    PC_PROCESSOR = "pc_processor"
    ACCELERATOR = "accelerator"


_PATTERNS = {
    CoolingKind.PROCESSOR: re.compile(
        r"(thermal-)?(cpufreq|idle)-.+|[a-z0-9]+-throttle-alert|(cpu|gpu|emergency)-balanced|tegra_heavy"
        r"|throttle-(light|heavy)",
        re.IGNORECASE,
    ),
    CoolingKind.PC_PROCESSOR: re.compile(r"Processor|intel_powerclamp"),
    CoolingKind.ACCELERATOR: re.compile(r"(thermal-)?(devfreq|gpufreq)-.+", re.IGNORECASE),
}


def cooling_kind(type_text: str) -> CoolingKind | None:
    """Return the kind of a cooling device by its ``type``, None for one that slows nothing down or is not known."""
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(type_text)), None)
