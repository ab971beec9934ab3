"""Carries a plan out on a device, step by step, and goes back when the agent does not dial back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from steelyard.deploy import scripts
from steelyard.deploy.agent_wheel import AgentWheel
from steelyard.deploy.dependencies import agent_requirements, download_wheels, wheel_platforms
from steelyard.deploy.errors import DeployError
from steelyard.deploy.installed import Installed, parse_installed
from steelyard.deploy.layout import Layout
from steelyard.deploy.plan import RUNTIME_PACKAGES, Plan
from steelyard.deploy.probe import DeviceFacts
from steelyard.deploy.remote import Remote

_INSTALL_TIMEOUT_S = 1800.0
_START_TIMEOUT_S = 420.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A plan, the wheel it names, and a folder with further wheels (None: they are fetched when they are needed).

    ``enrolls`` asks for a join code: the plan wants a certificate, and the device has none of this controller yet.
    """

    plan: Plan
    facts: DeviceFacts
    wheel: AgentWheel
    more_wheels: Path | None = None
    enrolls: bool = False


class Deployment:
    """One device. ``say`` gets a line for each step; used from one thread."""

    def __init__(self, remote: Remote, *, say: Callable[[str], None]) -> None:
        self._remote = remote
        self._say = say

    def installed(self, plan: Plan) -> Installed:
        """Return what an earlier run left where this plan goes; looking changes nothing."""
        return parse_installed(self._run(plan, scripts.INSTALLED))

    def carry_out(self, errand: Errand, *, code: Callable[[], str], dialled_back: Callable[[str], bool]) -> str:
        """Install, enroll, switch, start, and wait for the agent; return the device's id.

        Args:
            errand: What to do.
            code: Makes a join code; asked only where the errand enrolls.
            dialled_back: Waits for the device of this id, and returns whether it came.

        Raises:
            DeployError: ``rolled_back`` (what ran before runs again), ``agent_failed`` or ``not_dialled_back``; else as
                ``Remote.run``.
        """
        plan = errand.plan
        with self._staged(plan) as folder:
            self._copy(errand, folder)
            self._say(f"installing {plan.label}")
            self._run(plan, scripts.INSTALL, _install_variables(plan, folder), timeout_s=_INSTALL_TIMEOUT_S)
            self._run(plan, scripts.PREPARE)
            if errand.enrolls:
                self._say(f"enrolling {plan.name}")
                self._run(plan, scripts.ENROLL, {"NAME": plan.name, "CODE": code()})
            self._say("starting the agent")
            self._switch(plan, folder)
        device_id = self.installed(plan).device_id
        if not dialled_back(device_id):
            self._go_back(plan)
        self._run(plan, scripts.PRUNE)
        return device_id

    def reachable(self, plan: Plan, addresses: Sequence[str]) -> tuple[str, ...]:
        """Return which addresses take a connection from the device."""
        variables = {"PYTHON": plan.interpreter.path, "ADDRESSES": " ".join(addresses)}
        return tuple(self._remote.run(scripts.REACH, variables=variables).split())

    def remove(self, layout: Layout, *, user: str, as_root: bool) -> bool:
        """Remove every trace; return whether there was one."""
        variables = scripts.layout_variables(layout, user=user)
        done = self._remote.run(scripts.REMOVE, variables=variables, as_root=as_root, timeout_s=_START_TIMEOUT_S)
        return done.split()[-1:] == ["removed"]

    @contextmanager
    def _staged(self, plan: Plan) -> Iterator[str]:
        folder = self._remote.run(scripts.STAGE).strip()
        if not folder.startswith("/"):
            raise DeployError("strange_device", f"{self._remote.target} made no folder for the files ({folder[:80]!r})")
        try:
            yield folder
        finally:
            self._remote.run(scripts.UNSTAGE, variables={"STAGED": folder}, as_root=plan.as_root)

    def _copy(self, errand: Errand, folder: str) -> None:
        plan = errand.plan
        with tempfile.TemporaryDirectory(prefix="steelyard-deploy-") as scratch:
            here = Path(scratch)
            texts = {"unit": plan.unit, "rules": plan.privileges.rules, "run-agent": _launcher(plan)}
            files = {f"wheels/{errand.wheel.path.name}": errand.wheel.path}
            for name, text in texts.items():
                if text:
                    (here / name).write_text(text, encoding="utf-8")
                    files[name] = here / name
            wheels = errand.more_wheels or self._fetch(errand, here / "wheels")
            files |= {f"wheels/{path.name}": path for path in sorted(wheels.glob("*.whl"))}
            size = sum(path.stat().st_size for path in files.values())
            self._say(f"copying {len(files)} files, {size / 1e6:.1f} MB")
            self._remote.send(files, folder)

    def _fetch(self, errand: Errand, folder: Path) -> Path:
        """Fetch what this device cannot get by itself: everything when it is offline, pip when its venv has none."""
        plan = errand.plan
        folder.mkdir()
        pip = () if plan.interpreter.has_pip else ("pip",)
        needed = list(pip)
        if plan.is_offline:
            needed += agent_requirements(plan.interpreter, has_system_numpy=plan.uses_system_packages)
            needed += [RUNTIME_PACKAGES[plan.runtime]] if plan.runtime in RUNTIME_PACKAGES else []
        if needed:
            self._say(
                f"fetching wheels for {errand.facts.machine}, Python {'.'.join(map(str, plan.interpreter.version))}"
            )
            platforms = wheel_platforms(errand.facts, plan.interpreter)
            download_wheels(needed, folder, platforms=platforms, interpreter=plan.interpreter)
        return folder

    def _switch(self, plan: Plan, folder: str) -> None:
        answer = self._run(plan, scripts.SWITCH, {"LABEL": plan.label, "STAGED": folder}, timeout_s=_START_TIMEOUT_S)
        outcome = answer.split()[-1:]
        if outcome == ["started"]:
            return
        said = [line.removeprefix("said ") for line in answer.splitlines() if line.startswith("said ")]
        failed = f"{plan.label} did not start on {plan.name} ({' '.join(said)[:300].rstrip('.') or 'it said nothing'})"
        if outcome == ["rolled_back"]:
            raise DeployError("rolled_back", f"{failed}; the version before it runs there again")
        log = "`journalctl -u steelyard-agent`" if plan.unit else f"{plan.layout.state}/agent.log"
        raise DeployError("agent_failed", f"{failed}, where no version ran before; look there at {log}")

    def _go_back(self, plan: Plan) -> None:
        answer = self._run(plan, scripts.ROLL_BACK, timeout_s=_START_TIMEOUT_S).split()[-1:]
        if answer == ["rolled_back"]:
            raise DeployError(
                "rolled_back", f"{plan.label} on {plan.name} did not dial back; the version before it runs there again"
            )
        raise DeployError(
            "not_dialled_back",
            f"the agent runs on {plan.name} but has not dialled back: a firewall may stand between; run deploy "
            "again with --tunnel PORT",
        )

    def _run(
        self, plan: Plan, script: str, variables: dict[str, str] | None = None, *, timeout_s: float = 120.0
    ) -> str:
        given = {**scripts.layout_variables(plan.layout, user=plan.user), "LABEL": plan.label, **(variables or {})}
        return self._remote.run(script, variables=given, as_root=plan.as_root, timeout_s=timeout_s)


def _install_variables(plan: Plan, folder: str) -> dict[str, str]:
    flags = ["--system-site-packages"] if plan.uses_system_packages else []
    flags += [] if plan.interpreter.has_pip else ["--without-pip"]
    return {
        "PYTHON": plan.interpreter.path,
        "VENV_FLAGS": " ".join(flags),
        "STAGED": folder,
        "REQUIREMENT": plan.requirement,
        "INDEX": "--no-index" if plan.is_offline else "",
    }


def _launcher(plan: Plan) -> str:
    """Return what starts the agent where no unit does."""
    return "" if plan.unit else f"#!/bin/sh\nexec {' '.join(quote(word) for word in plan.command)}\n"
