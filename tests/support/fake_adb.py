#!/usr/bin/env python3
"""An adb of our own: a folder is the phone's file system, and its shell is this machine's.

FAKE_ADB names a folder with ``phones.json`` ({serial: state}) and a folder per serial, the phone's root. In scripts,
/data, /sys and the named files of /proc mean those under that root. The phone's programs (getprop, dumpsys, ...) are
answered from ``answers.json`` in its root. Every call is appended to ``calls.log``.
"""

# ruff: noqa: T201 - it is a program

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

# Processes of the fake phone are processes of this machine: /proc/PID stays.
_PHONE_PATH = re.compile(r"(?<![\w./])/(data|sys|proc/(?!\d))")
_PROGRAMS = ("getprop", "settings", "device_config", "dumpsys", "uname", "pgrep")
# What a phone before Android 8 lacks; a file of this name in the root takes the program away.
_REMOVABLE = ("sha256sum",)


def main(arguments: list[str]) -> int:
    home = Path(os.environ["FAKE_ADB"])
    with (home / "calls.log").open("a", encoding="utf-8") as log:
        log.write(json.dumps(arguments) + "\n")
    phones = json.loads((home / "phones.json").read_text("utf-8"))
    if arguments == ["devices"]:
        print("* daemon started successfully")
        print("List of devices attached")
        for serial, state in phones.items():
            print(f"{serial}\t{state}")
        return 0
    assert arguments[0] == "-s", arguments
    serial, verb, *rest = arguments[1:]
    if phones.get(serial) != "device":
        trouble = f"device '{serial}' not found" if serial not in phones else f"device {phones[serial]}"
        print(f"adb: {trouble}", file=sys.stderr)
        return 1
    return {"shell": shell, "push": push}[verb](home / serial, *rest)


def push(root: Path, local: str, remote: str) -> int:
    if (root / "full").exists():
        print(
            f"adb: error: failed to copy '{local}' to '{remote}': remote couldn't create file: No space left on device"
        )
        if (root / "full").read_text() == "once":
            (root / "full").unlink()
        return 1
    target = root / remote.lstrip("/")
    if not target.parent.is_dir():
        print(f"adb: error: failed to copy '{local}' to '{remote}': remote secure_mkdirs failed", file=sys.stderr)
        return 1
    shutil.copyfile(local, target)
    if (root / "damage").exists():
        target.write_bytes(target.read_bytes()[:-1] + b"?")
    print(f"{local}: 1 file pushed. 9.3 MB/s")
    return 0


def shell(root: Path, script: str) -> int:
    programs = root / "system" / "bin"
    if not programs.is_dir():
        _install(programs)
    path = f"{programs}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "FAKE_PHONE": str(root)}
    mapped = _PHONE_PATH.sub(lambda match: f"{root}/{match[1]}", script)
    # As a phone does, the shell outlives an adb that is killed; what it starts may do so, too.
    process = subprocess.Popen(
        ["/bin/sh", "-c", mapped],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Nothing there holds what this adb was given open.
        stderr=subprocess.STDOUT,
        cwd=root,
    )
    assert process.stdout is not None
    for line in process.stdout:
        text = line.replace(str(root).encode(), b"")
        if (root / "carriage_returns").exists():
            text = text.replace(b"\n", b"\r\n")
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
    process.wait()
    return 0


def answer(root: Path, command: list[str]) -> int:
    """Be a program of the phone."""
    answers = json.loads((root / "answers.json").read_text("utf-8"))
    line = " ".join(command)
    if command[:2] == ["pgrep", "-f"]:
        return pgrep(command[2])
    if line in answers:
        text = answers[line]
        if text.startswith("!"):
            print(text[1:], file=sys.stderr)
            return 1
        print(text)
        return 0
    if command[0] == "getprop":
        print()
        return 0
    print(f"/system/bin/sh: {command[0]}: inaccessible or not found", file=sys.stderr)
    return 127


def pgrep(pattern: str) -> int:
    """List the processes whose command line holds the pattern."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if re.search(pattern, words):
                found.append(path.parent.name)
    print(*found, sep="\n")
    return 0 if found else 1


def _install(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in _PROGRAMS:
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__)}" --answer {name} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    for name in _REMOVABLE:
        path = folder / name
        path.write_text(f'#!/bin/sh\n[ -e "$FAKE_PHONE/no_{name}" ] && exit 127\nexec /usr/bin/{name} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--answer"]:
        sys.exit(answer(Path(os.environ["FAKE_PHONE"]), sys.argv[2:]))
    sys.exit(main(sys.argv[1:]))
