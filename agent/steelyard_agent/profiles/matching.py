"""Which profile a device has, and for one that has none, the profile of a board with the same chip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard_agent.profiles.identity import Identity
from steelyard_agent.profiles.schema import Match, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """A profile of another board with the same chip: ``soc_compatible`` is what both name."""

    profile: Profile
    soc_compatible: str


def match_profile(identity: Identity, profiles: Sequence[Profile]) -> Profile | None:
    """Return the profile of a device, None when none fits; of several that fit equally, the first.

    What names the board (device tree, Jetson module, DMI) goes before what says that there is none (a hypervisor), that
    before what names the phone and its chip, and that before the processor's name, which a virtual machine shows of its
    host. That it runs Android says least.
    """
    tests: tuple[Callable[[Match], bool], ...] = (
        lambda match: bool(set(match.device_tree_compatibles) & set(identity.device_tree_compatibles)),
        lambda match: _begins(identity.device_tree_model, match.device_tree_models),
        lambda match: identity.module_part_number in match.module_part_numbers,
        lambda match: _begins(identity.dmi_product, match.dmi_products),
        lambda match: _begins(identity.dmi_vendor, match.dmi_vendors),
        lambda match: match.hypervisor and identity.virtual,
        lambda match: _is_one_of(identity.android_model, match.android_models),
        lambda match: _is_one_of(identity.android_soc, match.android_socs),
        lambda match: _begins(identity.processor, match.processors),
        lambda match: match.android and bool(identity.android_version),
    )
    for test in tests:
        for profile in profiles:
            if test(profile.match):
                return profile
    return None


def nearest_profile(identity: Identity, profiles: Sequence[Profile]) -> Nearest | None:
    """Return the profile of a board with the same chip by its device tree, None when no profile names this chip."""
    for compatible in identity.device_tree_compatibles:
        for profile in profiles:
            if compatible in profile.match.soc_compatibles:
                return Nearest(profile=profile, soc_compatible=compatible)
    return None


def _begins(text: str, beginnings: tuple[str, ...]) -> bool:
    return bool(text) and text.startswith(beginnings) if beginnings else False


def _is_one_of(text: str, names: tuple[str, ...]) -> bool:
    return text.lower() in {name.lower() for name in names}
