"""A profile as JSON values."""

from __future__ import annotations

from dataclasses import asdict

from steelyard_agent.profiles.schema import Profile


def profile_to_json(profile: Profile) -> dict[str, object]:
    """Return everything that a profile holds, its keys those of the file."""
    record = asdict(profile)
    if profile.power:
        record["power"]["scope"] = profile.power.scope.value.lower() if profile.power.scope else None
    return record
