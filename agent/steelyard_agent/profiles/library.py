"""The profiles that are shipped, and those that a user keeps beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard_agent.profiles.parsing import ProfileError, parse_profile
from steelyard_agent.profiles.schema import Profile

# The longest of the shipped ones has 4 KiB.
_LARGEST_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The profiles that can be used, by name, and what is wrong with the files that cannot, one sentence each."""

    profiles: tuple[Profile, ...]
    complaints: tuple[ProfileError, ...] = ()


def shipped_folder() -> Path:
    """Return the shipped profiles' folder: in the package of an installed wheel, beside ``agent/`` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "device_profiles"
    return packaged if packaged.is_dir() else package.parents[1] / "device_profiles"


def user_folders(*state_directories: Path, named: Path | None = None) -> tuple[Path, ...]:
    """Return where a user's profiles are looked for; of two profiles of one name that of the later folder counts.

    Raises:
        ProfileError: The folder that was named is none.
    """
    if named is not None and not os.path.isdir(named):  # noqa: PTH112 (Path.is_dir raises for a name that is too long)
        raise ProfileError("no_profiles_folder", f"--profiles {named} is no folder; name one with *.toml files in it")
    folders = [*(root / "profiles" for root in state_directories), *([named] if named is not None else [])]
    return tuple(dict.fromkeys(folders))


def read_shelf(folders: Sequence[Path] = ()) -> Shelf:
    """Return the shipped profiles and those of ``folders``; a user's profile takes the place of one of its name.

    Raises:
        ProfileError: a shipped file does not fit the schema. One of the user's is a complaint instead.
    """
    by_name = {profile.name: profile for profile in map(read_profile, _files(shipped_folder()))}
    found = [_profile_or_complaint(file) for folder in folders for file in _files(folder)]
    by_name |= {one.name: one for one in found if isinstance(one, Profile)}
    complaints = tuple(one for one in found if isinstance(one, ProfileError))
    # What a user wrote is asked first, so that it also wins where it matches what a shipped one matches.
    ordered = sorted(by_name.values(), key=lambda profile: (is_shipped(profile), profile.name))
    return Shelf(profiles=tuple(ordered), complaints=complaints)


def load_profiles(folders: Sequence[Path] = ()) -> tuple[Profile, ...]:
    """Return the shipped profiles and those of ``folders``.

    Raises:
        ProfileError: a file does not fit the schema.
    """
    shelf = read_shelf(folders)
    if shelf.complaints:
        raise shelf.complaints[0]
    return shelf.profiles


def read_profile(file: Path) -> Profile:
    """Return the profile of a file.

    Raises:
        ProfileError: it cannot be read or does not fit the schema.
    """
    try:
        if file.exists() and not file.is_file() and not file.is_dir():
            raise ProfileError("unreadable_profile", f"device profile {file} is no plain file; name one")
        if file.stat().st_size > _LARGEST_BYTES:
            raise ProfileError(
                "invalid_profile", f"device profile {file} is larger than {_LARGEST_BYTES // 1024} KiB; name another"
            )
        text = file.read_text("utf-8")
    except OSError as error:
        message = f"device profile {file} cannot be read ({error.strerror or error}); check the path"
        raise ProfileError("unreadable_profile", message) from error
    except UnicodeDecodeError as error:
        raise ProfileError("invalid_profile", f"device profile {file} is not UTF-8; save it as UTF-8") from error
    return replace(parse_profile(text, str(file)), origin=str(file))


def is_shipped(profile: Profile) -> bool:
    """Return whether a profile came with the agent."""
    return Path(profile.origin).parent == shipped_folder()


def _profile_or_complaint(file: Path) -> Profile | ProfileError:
    try:
        return read_profile(file)
    except ProfileError as error:
        return error


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"))
