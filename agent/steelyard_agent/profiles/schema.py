"""What a board profile holds. Every entry carries its source; docs/profiles.md explains each key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from steelyard_agent.processor import FEATURES
from steelyard_agent.readings import Scope

SCHEMA_VERSION = 2
FACT_NAMES = frozenset({"soc", "memory", "accelerator", "frequency", "throttling", "sensors"})
POWER_KINDS = frozenset({"rapl", "ina3221", "ina2xx", "hwmon", "pmic", "battery", "nvml", "none"})
SYSTEMS = frozenset({"", "64-bit", "32-bit", "termux"})
CORE_CHOICES = frozenset({"big", "little", "all"})
# Options that every runtime takes, with the type of their value; those of a provider are the provider's own.
OPTION_TYPES: Mapping[str, type] = {"threads": int, "cores": str, "spinning": bool, "arena": bool}

_NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_HIGHEST_CORE_COUNT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that is known of a board, and where that stands."""

    value: str
    source: str

    def __post_init__(self) -> None:
        """Refuse a fact without a source."""
        _refuse_blank(self, "value", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How a board is known; any one entry is enough.

    Models of device trees, DMI names and processors match from their beginning; compatibles, names of Android and
    module part numbers as a whole ("3767-0005" for the module 699-13767-0005-300). ``soc_compatibles`` match nothing:
    they name the chip, so that an unknown board with the same chip is told the nearest profile.
    """

    device_tree_compatibles: tuple[str, ...] = ()
    device_tree_models: tuple[str, ...] = ()
    module_part_numbers: tuple[str, ...] = ()
    dmi_vendors: tuple[str, ...] = ()
    dmi_products: tuple[str, ...] = ()
    android_models: tuple[str, ...] = ()
    android_socs: tuple[str, ...] = ()
    processors: tuple[str, ...] = ()
    soc_compatibles: tuple[str, ...] = ()
    hypervisor: bool = False
    android: bool = False

    def can_match(self) -> bool:
        """Return whether any device could be known by this."""
        return any(getattr(self, one.name) for one in fields(self) if one.name != "soc_compatibles")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorKnowledge:
    """What the processor should show when it is probed: features it has, features it lacks, None for unknown cores."""

    source: str
    cores: int | None = None
    features: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse features that no probe reports, and a feature that is there and lacking."""
        _refuse_blank(self, "source")
        if self.cores is not None and not 0 < self.cores <= _HIGHEST_CORE_COUNT:
            raise ValueError(f"cores is {self.cores}, not a number from 1 to {_HIGHEST_CORE_COUNT}")
        for name in ("features", "lacks"):
            if unknown := [one for one in getattr(self, name) if one not in FEATURES]:
                raise ValueError(f"{name} names {unknown[0]!r}, which is not probed; known: {', '.join(FEATURES)}")
        if both := sorted(set(self.features) & set(self.lacks)):
            raise ValueError(f"{both[0]!r} is both in features and in lacks")


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerKnowledge:
    """How power can be read: ``kind`` with the scope and what it covers, or "none" with ``why``."""

    kind: str
    source: str
    scope: Scope | None = None
    covers: str = ""
    why: str = ""

    def __post_init__(self) -> None:
        """Refuse a source without a scope, and none without a reason."""
        _refuse_blank(self, "source")
        if self.kind not in POWER_KINDS:
            raise ValueError(f"kind is {self.kind!r}, not one of {', '.join(sorted(POWER_KINDS))}")
        if self.kind == "none" and (self.scope or self.covers or not self.why.strip()):
            raise ValueError("kind is 'none', which takes why, and neither scope nor covers")
        if self.kind != "none" and (self.scope is None or not self.covers.strip() or self.why):
            raise ValueError(f"kind is {self.kind!r}, which takes scope and covers, and no why")

    @property
    def sentence(self) -> str:
        """Return what is known, for people."""
        return self.why if self.kind == "none" else self.covers


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeKnowledge:
    """Whether a runtime exists for the board: how to ``install`` it, or why it is ``unavailable``.

    ``when`` is one of ``SYSTEMS``: "64-bit" holds for 64-bit programs, "termux" for Android in Termux, "" for all.
    """

    name: str
    source: str
    install: str = ""
    unavailable: str = ""
    when: str = ""

    def __post_init__(self) -> None:
        """Refuse a runtime that is neither installable nor unavailable."""
        _refuse_blank(self, "name", "source")
        if bool(self.install.strip()) == bool(self.unavailable.strip()):
            raise ValueError(f"runtime {self.name!r} takes either install or unavailable")
        if self.when not in SYSTEMS:
            raise ValueError(f"when is {self.when!r}, not one of {', '.join(sorted(SYSTEMS - {''}))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKnowledge:
    """An execution provider or delegate that exists for the board.

    ``needs`` is what must be installed for it, "" where it comes with the runtime.
    """

    runtime: str
    name: str
    source: str
    needs: str = ""

    def __post_init__(self) -> None:
        """Refuse blanks."""
        _refuse_blank(self, "runtime", "name", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionKnowledge:
    """A setting that fits the board, as advice: nothing is set by a profile.

    Without a provider ``name`` is one of ``OPTION_TYPES``; with one it is an option of that provider.
    """

    name: str
    value: bool | int | str
    why: str
    source: str
    runtime: str = ""
    provider: str = ""

    def __post_init__(self) -> None:
        """Refuse an option that no runtime takes."""
        _refuse_blank(self, "name", "why", "source")
        if not isinstance(self.value, bool | int | str):
            raise TypeError(f"value is {self.value!r}, not a text, a whole number, true or false")
        if self.provider:
            if not self.runtime:
                raise ValueError(f"option {self.name!r} of {self.provider} names no runtime")
            return
        expected = OPTION_TYPES.get(self.name)
        if expected is None:
            raise ValueError(f"option {self.name!r} is unknown; known: {', '.join(sorted(OPTION_TYPES))}")
        if type(self.value) is not expected:
            raise TypeError(f"option {self.name!r} has the value {self.value!r}, not one of type {expected.__name__}")
        if self.name == "threads" and not 0 < int(self.value) <= _HIGHEST_CORE_COUNT:
            raise ValueError(f"threads is {self.value}, not a number from 1 to {_HIGHEST_CORE_COUNT}")
        if self.name == "cores" and self.value not in CORE_CHOICES:
            raise ValueError(f"cores is {self.value!r}, not one of {', '.join(sorted(CORE_CHOICES))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """Something that misleads people who measure on this board."""

    text: str
    source: str

    def __post_init__(self) -> None:
        """Refuse blanks."""
        _refuse_blank(self, "text", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What boards of one kind have and lack; ``facts`` maps names of ``FACT_NAMES`` to facts.

    ``origin`` is the file that it was read from, "" for one that was not read from a file.
    """

    name: str
    title: str
    match: Match
    processor: ProcessorKnowledge | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    power: PowerKnowledge | None = None
    runtimes: tuple[RuntimeKnowledge, ...] = ()
    providers: tuple[ProviderKnowledge, ...] = ()
    options: tuple[OptionKnowledge, ...] = ()
    traps: tuple[Trap, ...] = ()
    origin: str = ""

    def __post_init__(self) -> None:
        """Refuse a profile that cannot be found or says what nobody reads."""
        if not self.name or not self.title.strip():
            raise ValueError(f"profile {self.name!r}: name or title is empty")
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name is {self.name!r}, not lower-case letters and digits joined by dashes")
        if not self.match.can_match():
            raise ValueError(f"profile {self.name!r} matches nothing")
        if unknown := set(self.facts) - FACT_NAMES:
            known = ", ".join(sorted(FACT_NAMES))
            raise ValueError(f"profile {self.name!r}: facts {sorted(unknown)} are unknown; known: {known}")


def _refuse_blank(entry: object, *names: str) -> None:
    for name in names:
        text = getattr(entry, name)
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name} is {text!r}, not a sentence")
