"""Rails of boards by their label: what a label covers, the same for every driver that tells it.

Sources: NVIDIA's device trees (tegra234-p3701.dtsi, tegra234-p3767.dtsi, L4T 32 for older modules) and the Jetson
developer guides; POM_5V_IN and VDD_IN are what the module takes from its carrier board.
"""

from __future__ import annotations

import re

from steelyard_agent.readings import Scope

UNCONNECTED_LABELS = frozenset({"", "NC"})

_SCOPES = {"VDD_IN": Scope.MODULE, "POM_5V_IN": Scope.MODULE}
_CAUTIONS = {"VDDQ_VDD2_1V8AO": "this rail is a part of VIN_SYS_5V0: the two are never added"}


def reading_name(label: str) -> str:
    """Return "vdd_in_power" for "VDD_IN", "power" for no label."""
    rail = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    return f"{rail}_power" if rail else "power"


def rail_scope(label: str) -> Scope:
    """Return what a rail covers; one that is not known by name is one of the board's."""
    return _SCOPES.get(label, Scope.BOARD_RAILS)


def rail_caution(label: str) -> str:
    """Return what must be known of a rail, "" when there is nothing."""
    return _CAUTIONS.get(label, "")
