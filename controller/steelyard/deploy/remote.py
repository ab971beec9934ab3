"""Runs shell texts on a device by the system's own ssh: its configuration, agent, keys and jump hosts all count."""

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from steelyard.deploy.errors import DeployError
from steelyard.deploy.target import SshTarget
from steelyard.errors import UsageError

# ssh's own exit status when it is ssh that failed, not what ran there (ssh(1), EXIT STATUS).
_SSH_FAILED = 255
_DEFAULT_TIMEOUT_S = 60.0


class Remote:
    """A device at the other end of ssh. Each call is a login of its own; used from one thread."""

    def __init__(self, target: SshTarget, *, options: Sequence[str] = ()) -> None:
        """Reach ``target``; ``options`` are ssh's own ("IdentityFile=key"), added to what is configured."""
        self.target = target
        self.options = tuple(options)

    def words(self, *flags: str) -> list[str]:
        """Return the ssh command that reaches the device, without what to run there.

        Raises:
            UsageError: ``ssh_missing``.
        """
        program = shutil.which("ssh")
        if program is None:
            raise UsageError("ssh_missing", "there is no `ssh` here, which reaches devices; install openssh-client")
        options = [part for option in (*self.options, "BatchMode=yes", "ConnectTimeout=15") for part in ("-o", option)]
        return [program, *options, *flags, *self.target.words()]

    def run(
        self,
        script: str,
        *,
        variables: Mapping[str, str] | None = None,
        as_root: bool = False,
        timeout_s: float = _DEFAULT_TIMEOUT_S,
    ) -> str:
        """Run a text of POSIX sh on the device and return what it printed; it ends at the first command that fails.

        Raises:
            DeployError: ``unreachable``, ``device_timeout`` or ``device_step_failed``, with what it said last.
        """
        setting = "".join(f"{name}={shlex.quote(value)}\n" for name, value in (variables or {}).items())
        # Read whole before any of it runs: a program that reads standard input would eat the rest of the text.
        text = f"{{\nset -eu\n{setting}{script}\nexit 0\n}}\n"
        return self._call(self._shell("sh -s", as_root), text.encode("utf-8"), timeout_s)

    def send(self, files: Mapping[str, Path], folder: str, *, timeout_s: float = 600.0) -> None:
        """Copy files into a folder of the device, by name, as tar through ssh: no sftp is needed there.

        Raises:
            DeployError: As ``run``.
        """
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, path in files.items():
                archive.add(path, arcname=name)
        self._call(f"tar -xf - -C {shlex.quote(folder)}", packed.getvalue(), timeout_s)

    def _shell(self, command: str, as_root: bool) -> str:
        return f"sudo -n {command}" if as_root else command

    def _call(self, command: str, given: bytes, timeout_s: float) -> str:
        try:
            done = subprocess.run([*self.words("-T"), command], input=given, capture_output=True, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise DeployError(
                "device_timeout", f"{self.target} did not finish within {timeout_s:g} s; look at its load and its link"
            ) from error
        said = done.stderr.decode("utf-8", "replace").strip()
        last = said.splitlines()[-1][:300].rstrip(".") if said else "nothing"
        if done.returncode == _SSH_FAILED:
            raise DeployError("unreachable", f"{self.target} cannot be reached ({last}); try `ssh` by hand first")
        if done.returncode != 0:
            raise DeployError(
                "device_step_failed", f"{self.target} ended a step with status {done.returncode} and said: {last}"
            )
        return done.stdout.decode("utf-8", "replace")
