"""A device of a small fake tree, examined."""

from __future__ import annotations

from steelyard_agent.description import DeviceDescription, RuntimeDescription, describe_device
from steelyard_agent.doctor import Capability, Diagnosis, diagnose
from steelyard_agent.profiles import Identity, load_profiles
from steelyard_agent.readings import Kind, Reading, Scope, Status, unavailable
from tests.support.fake_sysfs import FakeSysfs

PROFILES = load_profiles()
RUNTIMES = (
    RuntimeDescription(name="onnxruntime", version="1.22.0", providers=("CPUExecutionProvider",)),
    RuntimeDescription(name="litert", reason="ai-edge-litert is not installed; pip install 'steelyard[litert]'"),
)


def device_of(**said: object) -> DeviceDescription:
    """A description with what matters for a test; the rest is of a small Arm board."""
    usual: dict[str, object] = {
        "device_id": "d-1",
        "name": "bench",
        "model": "Board",
        "profile": "",
        "architecture": "aarch64",
        "operating_system": "Debian GNU/Linux 12",
        "kernel": "6.6.31",
        "processor": "4x Cortex-A72",
        "logical_core_count": 4,
        "processor_features": ("asimd",),
        "memory_bytes": 2**32,
        "python_version": "3.11.9",
        "runtimes": RUNTIMES,
        "identity": Identity(),
    }
    return DeviceDescription(**{**usual, **said})  # type: ignore[arg-type]


def examine(tree: FakeSysfs, runtimes: tuple[RuntimeDescription, ...] = RUNTIMES, **more: object) -> Diagnosis:
    """Describe what is in the tree, then diagnose it."""
    device = describe_device(tree.system, name="bench", device_id="d-1", runtimes=runtimes, profiles=PROFILES)
    return diagnose_device(tree, device, **more)


def diagnose_device(tree: FakeSysfs, device: DeviceDescription, **more: object) -> Diagnosis:
    options = {"pointer_bits": 64, "clock_resolution_s": 1e-9, "platform_name": "linux", "profiles": PROFILES, **more}
    return diagnose(tree.system, device, **options)  # type: ignore[arg-type]


def capability(diagnosis: Diagnosis, name: str) -> Capability:
    return next(one for one in diagnosis.capabilities if one.name == name)


def power_reading(value: float | None, source: str, scope: Scope = Scope.MODULE, reason: str = "") -> Reading:
    if value is None:
        return unavailable("power", reason=reason, source=source, scope=scope, unit="W", kind=Kind.SAMPLED)
    return Reading(
        name="vdd_in_power",
        value=value,
        status=Status.MEASURED,
        source=source,
        scope=scope,
        unit="W",
        kind=Kind.SAMPLED,
        reason=reason,
    )
