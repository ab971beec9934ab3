"""Builds ``.arm-root`` for ``make test-arm``: a 64-bit Arm Python with this project's Arm wheels, and qemu to run it.

Needs a Debian or Ubuntu machine (apt-get and dpkg-deb), no rights and no settings of it: apt works on lists of its own,
and packages are unpacked, never installed. What is here already is kept; a change of what is asked for builds anew.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import tomllib

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / ".arm-root"
STAMP = FOLDER / "stamp"
CPUINFO = Path(__file__).parent / "cpuinfo"

# The Python of Debian 12, which is that of Raspberry Pi OS 12; its C library takes wheels of manylinux_2_28.
SUITE = "bookworm"
PYTHON_VERSION = "3.11"
ARM_PACKAGES = ("python3.11", "libstdc++6")
HOST_PACKAGES = ("qemu-user-static",)
QEMU = "usr/bin/qemu-aarch64-static"
PLATFORMS = tuple(f"manylinux{version}_aarch64" for version in ("_2_28", "_2_27", "_2_17", "2014"))
EXTRAS = ("onnxruntime", "litert")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE = "DEBIAN_MIRROR"


def main() -> int:
    """Build what is missing: 0, or 2 with a sentence on what this machine lacks."""
    trouble = _what_is_missing()
    if trouble:
        print(f"the Arm root cannot be built: {trouble}", file=sys.stderr)
        return 2
    key = _key()
    if STAMP.is_file() and STAMP.read_text() == key:
        return 0
    print(f"building {FOLDER.name} (once; about 140 MB are downloaded)", flush=True)
    STAMP.unlink(missing_ok=True)
    FOLDER.mkdir(exist_ok=True)
    try:
        _unpack_host()
        _unpack_root()
        _install_wheels()
    except subprocess.CalledProcessError as error:
        print(f"the Arm root cannot be built: `{error.cmd[0]}` ended with {error.returncode}", file=sys.stderr)
        return 4
    for listing in sorted(CPUINFO.glob("*.txt")):
        _make_processor(listing)
    STAMP.write_text(key)
    return 0


def _what_is_missing() -> str:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"it is made on x86_64 Linux, and this is {platform.machine()} {sys.platform}; on Arm, run `make test`"
    for program in ("apt-get", "dpkg-deb", "tar"):
        if shutil.which(program) is None:
            return f"there is no `{program}`; use a Debian or Ubuntu machine, or a container of one"
    if not KEYRING.is_file():
        return f"there is no {KEYRING}; install the package debian-archive-keyring"
    return ""


def _requirements() -> list[str]:
    """Return what the agent and its runtimes need, as pyproject.toml says."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *(one for extra in EXTRAS for one in extras[extra])]


def _key() -> str:
    """Return a digest of all that the root is made from, and of where it lies: its scripts hold absolute paths."""
    parts = [Path(__file__), REPOSITORY / "constraints.txt", *sorted(CPUINFO.glob("*.txt"))]
    texts = [str(REPOSITORY), *_requirements(), *(part.read_text() for part in parts)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest() + "\n"


def _unpack_host() -> None:
    qemu = FOLDER / QEMU
    if qemu.is_file():
        return
    (archive,) = (one for one in _download("amd64", HOST_PACKAGES) if one.name.startswith("qemu-user-static_"))
    # Of the emulators of thirty processors one is needed.
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as packed:
        subprocess.run(["tar", "-x", "-C", FOLDER, f"./{QEMU}"], stdin=packed.stdout, check=True)
    archive.unlink()


def _unpack_root() -> None:
    """Unpack into another folder first, so that what stands in ``root`` is always whole."""
    root, unfinished = FOLDER / "root", FOLDER / "root.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    for archive in _download("arm64", ARM_PACKAGES):
        subprocess.run(["dpkg-deb", "-x", archive, unfinished], check=True)
    shutil.rmtree(root, ignore_errors=True)
    unfinished.rename(root)


def _download(architecture: str, packages: tuple[str, ...]) -> list[Path]:
    """Return the archives of the packages and of all that they depend on, for an empty machine."""
    folder = FOLDER / "apt" / architecture
    archives = folder / "cache" / "archives"
    for name in ("state/lists/partial", "cache/archives/partial", "no-parts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    mirror = os.environ.get(MIRROR_VARIABLE, "http://deb.debian.org/debian")
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {SUITE} main\n")
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": folder / "no-parts",
        "Dir::Etc::preferencesparts": folder / "no-parts",
    }
    command = ["apt-get", "-qq", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
    subprocess.run([*command, "update"], check=True)
    install = ["install", "--download-only", "--yes", "--no-install-recommends"]
    subprocess.run([*command, *install, *packages], check=True, stdout=subprocess.DEVNULL)
    return sorted(archives.glob("*.deb"))


def _install_wheels() -> None:
    packages = FOLDER / "root/usr/lib/python3/dist-packages"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", packages]
    command += ["--python-version", PYTHON_VERSION, "--implementation", "cp", "--only-binary=:all:"]
    command += [part for name in PLATFORMS for part in ("--platform", name)]
    subprocess.run([*command, "-c", REPOSITORY / "constraints.txt", *_requirements()], check=True)
    # The agent is that of the working tree, as in an editable install.
    (packages / "steelyard.pth").write_text(f"{REPOSITORY / 'agent'}\n{REPOSITORY / 'protos'}\n")


def _make_processor(listing: Path) -> None:
    """Make ``root/usr/bin/python-NAME``, a Python on the processor NAME that qemu knows and ``listing`` describes.

    qemu looks for each absolute path below a prefix first. The prefix is the root with another ``/proc/cpuinfo``: that
    of the host has no Arm features, and onnxruntime dies of it when it is imported.
    """
    name = listing.stem
    prefix = FOLDER / name
    shutil.rmtree(prefix, ignore_errors=True)
    (prefix / "proc").mkdir(parents=True)
    for part in sorted((FOLDER / "root").iterdir()):
        (prefix / part.name).symlink_to(Path("..", "root", part.name))
    shutil.copy(listing, prefix / "proc/cpuinfo")
    script = FOLDER / f"root/usr/bin/python-{name}"
    # Whoever starts sys.executable must get the emulator again, for the kernel cannot start Arm programs: with this
    # script as argv[0], sys.executable is this script.
    script.write_text(
        "#!/bin/sh\n"
        "export PYTHONNOUSERSITE=1\n"
        f'exec "{FOLDER / QEMU}" -cpu {name} -L "{prefix}" -0 "$0" "{FOLDER / "root/usr/bin/python3.11"}" "$@"\n'
    )
    script.chmod(0o755)


if __name__ == "__main__":
    raise SystemExit(main())
