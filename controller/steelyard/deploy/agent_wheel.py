"""Packs a wheel of the agent alone from what is installed here: no build tool, no network, the same bytes each time.

The same for an installed wheel and a checkout. The controller's packages stay here, so that a device gets a fraction.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard.errors import UsageError

_PACKAGES = ("steelyard_agent", "steelyard_protocol")
# The earliest that a zip can say: a wheel must not differ by when it was packed.
_EARLIEST = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentWheel:
    """A wheel to install; ``label`` names its folder on the device: the version and the first digits of its hash."""

    path: Path
    version: str
    digest: str

    def __post_init__(self) -> None:
        """Refuse what pip would not take."""
        if self.path.suffix != ".whl" or len(self.digest) != 64:
            raise ValueError(f"{self.path} with digest {self.digest!r} is no wheel")

    @property
    def label(self) -> str:
        """The name of this very wheel."""
        return f"{self.version}-{self.digest[:10]}"


def named_wheel(path: Path) -> AgentWheel:
    """Take a wheel that somebody names.

    Raises:
        UsageError: ``not_our_wheel``.
    """
    parts = path.name.split("-")
    if path.suffix != ".whl" or len(parts) < 5 or parts[0] != "steelyard" or not path.is_file():
        raise UsageError(
            "not_our_wheel", f"{path} is no wheel of steelyard; name one (steelyard-VERSION-py3-none-any.whl)"
        )
    return AgentWheel(path=path, version=parts[1], digest=hashlib.sha256(path.read_bytes()).hexdigest())


def pack_agent_wheel(folder: Path) -> AgentWheel:
    """Write the wheel into ``folder``."""
    from importlib.metadata import distribution

    installed = distribution("steelyard")
    version = installed.version
    about = f"steelyard-{version}.dist-info"
    files = _package_files()
    files[f"{about}/METADATA"] = _agents_part(installed.read_text("METADATA") or "").encode("utf-8")
    files[f"{about}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: steelyard deploy\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{about}/entry_points.txt"] = _entry_points(installed.entry_points)
    path = folder / f"steelyard-{version}-py3-none-any.whl"
    _write(path, files, about)
    return named_wheel(path)


def _package_files() -> dict[str, bytes]:
    """Return the agent's and the protocol's files by their name in the wheel."""
    from importlib.util import find_spec

    found: dict[str, bytes] = {}
    for name in _PACKAGES:
        spec = find_spec(name)
        assert spec is not None, name
        assert spec.submodule_search_locations, name
        root = Path(next(iter(spec.submodule_search_locations)))
        found |= _below(root, name)
    profiles = Path(next(iter(find_spec("steelyard_agent").submodule_search_locations or ())))  # type: ignore[union-attr]
    shipped = profiles / "device_profiles"
    # In a checkout they lie beside agent/, where the agent looks for them, too (profiles/library.py).
    return (
        found
        if shipped.is_dir()
        else found | _below(profiles.parents[1] / "device_profiles", "steelyard_agent/device_profiles")
    )


def _below(root: Path, name: str) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {f"{name}/{path.relative_to(root).as_posix()}": path.read_bytes() for path in paths}


def _agents_part(metadata: str) -> str:
    """Return the metadata without the long description, which the device does not need."""
    return metadata.partition("\n\n")[0] + "\n"


def _entry_points(points: object) -> bytes:
    from importlib.metadata import EntryPoints

    assert isinstance(points, EntryPoints)
    groups: dict[str, list[str]] = {}
    for point in points:
        if point.value.startswith(_PACKAGES):
            groups.setdefault(point.group, []).append(f"{point.name} = {point.value}")
    return "\n".join(
        f"[{group}]\n" + "".join(f"{line}\n" for line in sorted(groups[group])) for group in sorted(groups)
    ).encode()


def _write(path: Path, files: Mapping[str, bytes], about: str) -> None:
    record = "".join(f"{name},sha256={_hash(files[name])},{len(files[name])}\n" for name in sorted(files))
    listed = {**dict(sorted(files.items())), f"{about}/RECORD": f"{record}{about}/RECORD,,\n".encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in listed.items():
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")
