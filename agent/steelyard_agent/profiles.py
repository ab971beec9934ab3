"""Board profiles: what boards of a kind have and lack, one TOML file each, a source for every fact.

A profile never overrules the device: features and sensors are probed, and a profile only says what a probe cannot.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from steelyard_agent.errors import AgentError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA_VERSION = 1
FACT_NAMES = frozenset(
    {"soc", "features", "memory", "accelerator", "power_source", "frequency", "throttling", "sensors"}
)


class ProfileError(AgentError):
    """A profile does not fit the schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that is known of a board, and where that stands."""

    value: str
    source: str

    def __post_init__(self) -> None:
        """Refuse a fact without a source."""
        for name in ("value", "source"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"a fact's {name} is {text!r}, not a sentence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How a board is known; any one entry is enough. Names match from their beginning, compatibles as a whole."""

    device_tree_compatibles: tuple[str, ...] = ()
    device_tree_models: tuple[str, ...] = ()
    dmi_vendors: tuple[str, ...] = ()
    dmi_products: tuple[str, ...] = ()
    processors: tuple[str, ...] = ()
    hypervisor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What boards of one kind have and lack; ``facts`` maps names of ``FACT_NAMES`` to facts."""

    name: str
    title: str
    match: Match
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a profile that cannot be found or says what nobody reads."""
        if not self.name or not self.title:
            raise ValueError(f"profile {self.name!r}: name or title is empty")
        if self.match == Match():
            raise ValueError(f"profile {self.name!r} matches nothing")
        if unknown := set(self.facts) - FACT_NAMES:
            raise ValueError(f"profile {self.name!r}: facts {sorted(unknown)} are unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a device says of itself, "" or empty where it says nothing."""

    device_tree_compatibles: tuple[str, ...] = ()
    device_tree_model: str = ""
    dmi_vendor: str = ""
    dmi_product: str = ""
    processor: str = ""
    virtual: bool = False


def load_profiles() -> tuple[Profile, ...]:
    """Return the shipped profiles, by name.

    Raises:
        ProfileError: a file does not fit the schema.
    """
    return tuple(parse_profile(path.read_text("utf-8"), path.name) for path in sorted(_folder().glob("*.toml")))


def match_profile(identity: Identity, profiles: Sequence[Profile]) -> Profile | None:
    """Return the profile of a device, None when none fits.

    What names the board (device tree, then DMI) goes before what says that there is none (a hypervisor), and that
    before the processor's name, which a virtual machine shows of its host.
    """
    tests: tuple[Callable[[Match], bool], ...] = (
        lambda match: bool(set(match.device_tree_compatibles) & set(identity.device_tree_compatibles)),
        lambda match: _begins(identity.device_tree_model, match.device_tree_models),
        lambda match: _begins(identity.dmi_product, match.dmi_products),
        lambda match: _begins(identity.dmi_vendor, match.dmi_vendors),
        lambda match: match.hypervisor and identity.virtual,
        lambda match: _begins(identity.processor, match.processors),
    )
    for test in tests:
        for profile in profiles:
            if test(profile.match):
                return profile
    return None


def parse_profile(text: str, file_name: str) -> Profile:
    """Return the profile of a TOML text.

    Raises:
        ProfileError: it is no TOML, a key is unknown, or a value makes no sense.
    """
    try:
        return _profile(tomllib.loads(text))
    except (TypeError, ValueError) as error:
        message = f"device profile {file_name}: {error}; compare it with the shipped profiles"
        raise ProfileError("invalid_profile", message) from error


def _profile(record: dict[str, object]) -> Profile:
    _refuse_unknown(record, {"schema_version", "name", "title", "match", "facts"}, "profile")
    if record.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {record.get('schema_version')!r}, expected {SCHEMA_VERSION}")
    facts = {name: _fact(name, value) for name, value in _table(record, "facts").items()}
    return Profile(name=_text(record, "name"), title=_text(record, "title"), match=_match(record), facts=facts)


def _match(record: dict[str, object]) -> Match:
    table = dict(_table(record, "match"))
    _refuse_unknown(table, {one.name for one in fields(Match)}, "match")
    hypervisor = table.pop("hypervisor", False)
    if not isinstance(hypervisor, bool):
        raise TypeError(f"match.hypervisor is {hypervisor!r}, not true or false")
    return Match(hypervisor=hypervisor, **{name: _texts(name, value) for name, value in table.items()})


def _fact(name: str, value: object) -> Fact:
    if not isinstance(value, dict):
        raise TypeError(f"facts.{name} is {value!r}, not a table with value and source")
    _refuse_unknown(value, {"value", "source"}, f"facts.{name}")
    return Fact(value=value.get("value", ""), source=value.get("source", ""))


def _refuse_unknown(table: Mapping[str, object], known: set[str], where: str) -> None:
    if unknown := set(table) - known:
        raise ValueError(f"{where} has unknown keys {sorted(unknown)}")


def _table(record: Mapping[str, object], name: str) -> dict[str, object]:
    value = record.get(name, {})
    if not isinstance(value, dict):
        raise TypeError(f"{name} is {value!r}, not a table")
    return value


def _text(record: Mapping[str, object], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, not a text")
    return value


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise TypeError(f"match.{name} is {value!r}, not a list of texts")
    return tuple(value)


def _begins(text: str, beginnings: tuple[str, ...]) -> bool:
    return bool(text) and text.startswith(beginnings) if beginnings else False


def _folder() -> Path:
    """Return the profiles' folder: inside the package in an installed wheel, beside ``agent/`` in a checkout."""
    packaged = Path(__file__).resolve().parent / "device_profiles"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "device_profiles"
