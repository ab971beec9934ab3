"""Board profiles: what boards of a kind have and lack, one TOML file each, a source for every entry.

A profile never overrules the device: features and sensors are probed, and a profile only says what a probe cannot.
"""

from __future__ import annotations

from steelyard_agent.profiles.identity import Identity, identify
from steelyard_agent.profiles.library import (
    Shelf,
    is_shipped,
    load_profiles,
    read_profile,
    read_shelf,
    shipped_folder,
    user_folders,
)
from steelyard_agent.profiles.matching import Nearest, match_profile, nearest_profile
from steelyard_agent.profiles.parsing import ProfileError, parse_profile
from steelyard_agent.profiles.schema import (
    FACT_NAMES,
    SCHEMA_VERSION,
    Fact,
    Match,
    OptionKnowledge,
    PowerKnowledge,
    ProcessorKnowledge,
    Profile,
    ProviderKnowledge,
    RuntimeKnowledge,
    Trap,
)
from steelyard_agent.profiles.toml_text import tomllib

__all__ = [
    "FACT_NAMES",
    "SCHEMA_VERSION",
    "Fact",
    "Identity",
    "Match",
    "Nearest",
    "OptionKnowledge",
    "PowerKnowledge",
    "ProcessorKnowledge",
    "Profile",
    "ProfileError",
    "ProviderKnowledge",
    "RuntimeKnowledge",
    "Shelf",
    "Trap",
    "identify",
    "is_shipped",
    "load_profiles",
    "match_profile",
    "nearest_profile",
    "parse_profile",
    "read_profile",
    "read_shelf",
    "shipped_folder",
    "tomllib",
    "user_folders",
]
