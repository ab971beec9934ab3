"""What a device is, asked by one shell text that changes nothing on it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from steelyard.deploy.errors import DeployError
from steelyard.deploy.remote import Remote

MIN_PYTHON = (3, 10)
MAX_PYTHON = (3, 14)
# Of Debian and its like; each lets its members read something that a meter or a delegate needs.
ASKED_GROUPS = ("video", "render", "i2c", "gpio", "plugdev")

# `pip download` asks the index that this device is configured with, a mirror or piwheels included.
_SCRIPT = r"""
say() { printf '%s=%s\n' "$1" "$2"; }
say machine "$(uname -m)"
say host "$(uname -n)"
say home "$HOME"
say uid "$(id -u)"
say login "$(id -un)"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || echo other)"
if [ "$(id -u)" = 0 ]; then say root direct
elif sudo -n true 2>/dev/null; then say root sudo
else say root none; fi
say system_state "$(systemctl is-system-running 2>/dev/null || true)"
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
say user_state "$(systemctl --user is-system-running 2>/dev/null || true)"
for group in @GROUPS@; do
  if grep -q "^$group:" /etc/group 2>/dev/null; then say group "$group"; fi
done
if [ -e /dev/vcio ]; then say path /dev/vcio; fi
if ls /sys/class/powercap/intel-rapl:* >/dev/null 2>&1; then say path /sys/class/powercap; fi
for name in python3.13 python3.12 python3.11 python3.14 python3.10 python3; do
  found=$(command -v "$name" 2>/dev/null) || continue
  told=$("$found" -c 'import struct, sys, venv
try:
    import ensurepip; pip = "pip"
except ImportError:
    pip = "bare"
print(sys.version_info[0], sys.version_info[1], struct.calcsize("P") * 8, pip)' 2>/dev/null) || continue
  say python "$told $found"
done
python=$(command -v python3 || true)
internet=no
if [ -n "$python" ]; then
  scratch=$(mktemp -d)
  if timeout 25 "$python" -m pip download -q --no-deps --disable-pip-version-check --timeout 5 --retries 0 \
    -d "$scratch" typing_extensions </dev/null >/dev/null 2>&1; then internet=yes; fi
  rm -rf "$scratch"
fi
say internet "$internet"
"""

_PYTHON = re.compile(r"(\d+) (\d+) (32|64) (pip|bare) (/.*)")
_LIBC = re.compile(r"glibc (\d+)\.(\d+)")
# What is-system-running says where systemd is at work, however it feels.
_RUNNING = frozenset({"running", "degraded", "starting", "initializing", "maintenance"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python of the device; ``has_pip`` is whether a venv of it comes with pip."""

    path: str
    version: tuple[int, int]
    bits: int
    has_pip: bool

    def __post_init__(self) -> None:
        """Refuse what cannot be started."""
        if not self.path.startswith("/") or self.bits not in {32, 64}:
            raise ValueError(f"{self.path!r} of {self.bits} bits is no interpreter")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What the probe found. ``glibc`` is None on another C library; ``root`` is "direct", "sudo" or "none"."""

    machine: str
    host: str
    home: str
    login: str
    root: str
    glibc: tuple[int, int] | None
    has_systemd: bool
    has_user_systemd: bool
    interpreters: tuple[Interpreter, ...]
    has_internet: bool
    groups: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the probe never says."""
        if self.root not in {"direct", "sudo", "none"} or not self.home.startswith("/") or not self.machine:
            raise ValueError(f"root {self.root!r}, home {self.home!r}, machine {self.machine!r} are no answers")

    @property
    def interpreter(self) -> Interpreter | None:
        """The Python to use: the first that fits, None when none does."""
        fitting = (one for one in self.interpreters if MIN_PYTHON <= one.version <= MAX_PYTHON)
        return next(fitting, None)


def probe(remote: Remote) -> DeviceFacts:
    """Ask the device; nothing is changed on it.

    Raises:
        DeployError: It cannot be reached, or its answer makes no sense.
    """
    answer = remote.run(_SCRIPT.replace("@GROUPS@", " ".join(ASKED_GROUPS)), timeout_s=120.0)
    try:
        return parse_facts(answer)
    except (KeyError, ValueError) as error:
        raise DeployError(
            "strange_device",
            f"{remote.target} answered the probe in a way that is not understood ({error}); is it Linux?",
        ) from error


def parse_facts(answer: str) -> DeviceFacts:
    """Read the lines of the probe.

    Raises:
        KeyError, ValueError: A line is missing or strange.
    """
    pairs = [line.split("=", 1) for line in answer.splitlines() if "=" in line]
    told = dict(pairs)
    libc = _LIBC.fullmatch(told["libc"])
    return DeviceFacts(
        machine=told["machine"],
        host=told["host"],
        home=told["home"].rstrip("/") or "/root",
        login=told["login"],
        root=told["root"],
        glibc=(int(libc[1]), int(libc[2])) if libc else None,
        has_systemd=told["system_state"] in _RUNNING,
        has_user_systemd=told["user_state"] in _RUNNING,
        interpreters=tuple(_interpreter(value) for key, value in pairs if key == "python"),
        has_internet=told["internet"] == "yes",
        groups=tuple(value for key, value in pairs if key == "group"),
        paths=tuple(value for key, value in pairs if key == "path"),
    )


def _interpreter(text: str) -> Interpreter:
    found = _PYTHON.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is no interpreter")
    return Interpreter(
        path=found[5], version=(int(found[1]), int(found[2])), bits=int(found[3]), has_pip=found[4] == "pip"
    )
