"""What a deployment will do to a device, decided from the facts alone and told before anything happens."""

from __future__ import annotations

import re
from dataclasses import dataclass

from steelyard.deploy.errors import UnfitDeviceError
from steelyard.deploy.installed import Installed
from steelyard.deploy.layout import Layout, ServiceKind, system_layout, user_layout
from steelyard.deploy.privileges import Privileges, privileges
from steelyard.deploy.probe import MAX_PYTHON, MIN_PYTHON, DeviceFacts, Interpreter
from steelyard.deploy.unit import agent_command, agent_unit

# An installed agent with onnxruntime takes about 350 MB, twice during an upgrade.
NEEDED_BYTES = 800 * 1024 * 1024
# What pip installs for each; tflite-runtime is the system's own where it is still used.
RUNTIME_PACKAGES = {"onnxruntime": "onnxruntime", "litert": "ai-edge-litert", "openvino": "openvino"}
RUNTIMES = (*RUNTIME_PACKAGES, "tflite-runtime", "none")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_NAME = re.compile(r"[^\x00-\x1f\x7f\"'\\]{0,200}")
_ROOT = re.compile(r"(/[A-Za-z0-9._+@-]+)+/?")
_NO_PRIVILEGES = Privileges(groups=(), rules="", notes=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the caller asks for; "" leaves it to the device.

    ``controller`` is an address of the device's loopback at which a tunnel ends; "" means that the device enrolls.
    ``root`` is a folder of the device that stands for its root: an image that is being made.
    """

    name: str = ""
    runtime: str = ""
    as_user: bool = False
    service_user: str = "steelyard"
    root: str = ""
    controller: str = ""

    def __post_init__(self) -> None:
        """Refuse what no device could do."""
        if self.runtime not in {"", *RUNTIMES}:
            raise ValueError(f"{self.runtime!r} is none of {', '.join(RUNTIMES)}")
        if _USER.fullmatch(self.service_user) is None:
            raise UnfitDeviceError(
                "invalid_user", f"--service-user {self.service_user[:40]!r} cannot be a user of Linux; name another"
            )
        if _NAME.fullmatch(self.name) is None:
            raise UnfitDeviceError(
                "invalid_name",
                f"--name {self.name[:80]!r} must be up to 200 printable characters without quotes; change it",
            )
        if self.root and _ROOT.fullmatch(self.root) is None:
            raise UnfitDeviceError(
                "invalid_root",
                f"--root {self.root[:80]!r} is no absolute folder without spaces; name one of the device",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is written on the device, as text, and why."""

    layout: Layout
    interpreter: Interpreter
    label: str
    name: str
    requirement: str
    runtime: str
    uses_system_packages: bool
    is_offline: bool
    as_root: bool
    user: str
    command: tuple[str, ...]
    unit: str
    privileges: Privileges
    enrolls: bool
    warnings: tuple[str, ...]

    def lines(self, there: Installed) -> tuple[str, ...]:
        """Return the plan for people, a step a line; ``there`` is what an earlier run left."""
        version = ".".join(map(str, self.interpreter.version))
        source = (
            "wheels copied from here" if self.is_offline else "our wheel from here, the rest from its package index"
        )
        kind = self.layout.kind
        lines = [
            f"install {self.label} into {self.layout.prefix}/versions{_beside(there, self.label)}",
            f"run it with Python {version} ({self.interpreter.path})",
            f"take {source}{', beside what the system has' if self.uses_system_packages else ''}",
            f"run it as {self.user}, by {kind.value}{' (with root)' if self.as_root else ''}",
            f"keep its state in {self.layout.state}",
        ]
        lines += [
            f"write {path}" for path in (self.layout.unit, self.layout.rules if self.privileges.rules else "") if path
        ]
        lines += self.privileges.notes
        joined = ", unless it is a device of this controller already" if there.controller_ids else ""
        lines.append(
            f"enroll it as {self.name!r} with a one-time code{joined}"
            if self.enrolls
            else f"dial {self.command[5]} (the end of a tunnel) as {self.name!r}"
        )
        lines.append(
            "start it, and wait until it has dialled back; the version that ran before comes back if it does not"
        )
        return (*lines, *(f"note: {warning}" for warning in self.warnings))


def make_plan(facts: DeviceFacts, wishes: Wishes, *, label: str, wheel_name: str, has_wheels: bool = False) -> Plan:
    """Decide; with ``has_wheels`` nothing is fetched, whatever the device could.

    Raises:
        UnfitDeviceError: ``no_python``, ``disk_too_small`` or ``no_systemd``.
    """
    interpreter = _interpreter(facts)
    layout = choose_layout(facts, wishes)
    runtime = wishes.runtime or ("onnxruntime" if interpreter.bits == 64 else "tflite-runtime")
    uses_system = interpreter.bits == 32 or runtime == "tflite-runtime"
    if facts.free_bytes < NEEDED_BYTES:
        raise UnfitDeviceError(
            "disk_too_small",
            f"{facts.host} has {facts.free_bytes // 2**20} MiB free; an agent needs {NEEDED_BYTES // 2**20}: make room",
        )
    is_system = layout.kind is ServiceKind.SYSTEM
    user = wishes.service_user if is_system else facts.login
    given = privileges(facts, user=user) if is_system else _NO_PRIVILEGES
    name = wishes.name or facts.host
    command = agent_command(layout, name=name, controller=wishes.controller)
    unit = agent_unit(layout, command=command, user=user, groups=given.groups, has_default_state=not wishes.root)
    return Plan(
        layout=layout,
        interpreter=interpreter,
        label=label,
        name=name,
        requirement=f"{wheel_name}[{runtime}]" if runtime in RUNTIME_PACKAGES else wheel_name,
        runtime=runtime,
        uses_system_packages=uses_system,
        is_offline=has_wheels or not facts.has_internet,
        as_root=is_system and facts.root == "sudo",
        user=user,
        command=command,
        unit=unit if layout.unit else "",
        privileges=given,
        enrolls=not wishes.controller,
        warnings=_warnings(facts, layout, interpreter, runtime),
    )


def _beside(there: Installed, label: str) -> str:
    if not there.label:
        return ""
    return "; it is there already" if there.label == label else f", beside {there.label}, which runs now"


def _interpreter(facts: DeviceFacts) -> Interpreter:
    found = facts.interpreter
    if found is None:
        have = ", ".join(f"{one.version[0]}.{one.version[1]}" for one in facts.interpreters) or "none"
        raise UnfitDeviceError(
            "no_python",
            f"{facts.host} has no Python of {MIN_PYTHON[0]}.{MIN_PYTHON[1]} to {MAX_PYTHON[0]}.{MAX_PYTHON[1]} with "
            f"the module venv (found: {have}); install one there",
        )
    return found


def choose_layout(facts: DeviceFacts, wishes: Wishes) -> Layout:
    """Return where an agent lies on this device.

    Raises:
        UnfitDeviceError: ``no_systemd``.
    """
    if wishes.as_user or (facts.root == "none" and not wishes.root):
        return user_layout(facts.home, has_systemd=facts.has_user_systemd)
    if not facts.has_systemd:
        raise UnfitDeviceError(
            "no_systemd", f"{facts.host} has no systemd that runs; bring the agent there as your own user with --user"
        )
    return system_layout(wishes.root)


def _warnings(facts: DeviceFacts, layout: Layout, interpreter: Interpreter, runtime: str) -> tuple[str, ...]:
    said = []
    if layout.kind is not ServiceKind.SYSTEM and facts.root == "none":
        said.append("sudo needs a password or is missing: the agent runs as your own user, without privileged reads")
    if layout.kind is ServiceKind.PROCESS:
        said.append("no systemd: the agent does not come back after a reboot; run `steelyard deploy` again")
    if layout.kind is ServiceKind.USER:
        said.append("it ends with your last login unless lingering is on: `loginctl enable-linger`")
    if interpreter.bits == 32:
        said.append("32-bit: numpy is the system's (python3-numpy)")
    if runtime == "tflite-runtime":
        said.append("tflite-runtime is the system's own: install it there, and `doctor` will show it")
    return tuple(said)
