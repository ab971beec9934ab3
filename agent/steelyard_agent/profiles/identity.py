"""What a device says of itself, by which a profile is found: device tree, DMI, Android's properties, Jetson's module.

Sources: Documentation/devicetree/usage-model.rst of Linux (model and compatible, NUL-separated, the most specific
first); Build.MODEL and Build.SOC_MODEL of Android (ro.product.model, ro.soc.model); the Jetson device tree's
``chosen/nvidia,sku`` (module part number, "699-13767-0005-300 T.1").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import text_or_empty
from steelyard_agent.processor import Processor

_DEVICE_TREE = "/proc/device-tree"
_DMI_FOLDER = "/sys/class/dmi/id"
# What board makers leave in DMI when they fill nothing in.
_PLACEHOLDER = re.compile(
    r"(?i)\W*|to be filled.*|default string|system (product name|manufacturer)|not (specified|applicable)|unknown|none"
)
_PART_NUMBER = re.compile(r"\b699-[0-9]([0-9]{4}-[0-9]{4})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a device says of itself, "" or empty where it says nothing.

    ``module_part_number`` is "3767-0005" for the module 699-13767-0005-300; ``tegra_release`` is "R36.4.3".
    """

    device_tree_compatibles: tuple[str, ...] = ()
    device_tree_model: str = ""
    module_part_number: str = ""
    tegra_release: str = ""
    dmi_vendor: str = ""
    dmi_product: str = ""
    dmi_board: str = ""
    android_version: str = ""
    android_manufacturer: str = ""
    android_model: str = ""
    android_soc: str = ""
    processor: str = ""
    virtual: bool = False

    @property
    def model(self) -> str:
        """Return the device's own name, from the source that is most likely to be right; "" when none says."""
        machine = f"{self.dmi_vendor} {self.dmi_product}".strip() if self.dmi_product else self.dmi_board
        phone = self.android_model
        if phone and not phone.lower().startswith(self.android_manufacturer.lower()):
            phone = f"{self.android_manufacturer} {phone}"
        return self.device_tree_model or machine or phone


def identify(system: System, processor: Processor) -> Identity:
    """Return the strings by which a profile knows a device; never raises."""
    compatible = text_or_empty(system, f"{_DEVICE_TREE}/compatible")
    return Identity(
        device_tree_compatibles=tuple(one for one in compatible.split("\x00") if one),
        device_tree_model=text_or_empty(system, f"{_DEVICE_TREE}/model"),
        module_part_number=_module_part_number(system),
        tegra_release=_tegra_release(system),
        dmi_vendor=_dmi(system, "sys_vendor"),
        dmi_product=_dmi(system, "product_name"),
        dmi_board=" ".join(part for part in (_dmi(system, "board_vendor"), _dmi(system, "board_name")) if part),
        android_version=_property(system, "ro.build.version.release"),
        android_manufacturer=_property(system, "ro.product.manufacturer"),
        android_model=_property(system, "ro.product.model"),
        android_soc=_property(system, "ro.soc.model"),
        processor=processor.name,
        virtual=processor.virtual,
    )


def _module_part_number(system: System) -> str:
    match = _PART_NUMBER.search(text_or_empty(system, f"{_DEVICE_TREE}/chosen/nvidia,sku"))
    return match.group(1) if match else ""


def _tegra_release(system: System) -> str:
    """Return the release of Jetson Linux from "# R36 (release), REVISION: 4.3, GCID: ..."."""
    match = re.match(r"#\s*(R[0-9]+) \(release\), REVISION: ([0-9.]+)", text_or_empty(system, "/etc/nv_tegra_release"))
    return f"{match.group(1)}.{match.group(2)}" if match else ""


def _dmi(system: System, attribute: str) -> str:
    text = text_or_empty(system, f"{_DMI_FOLDER}/{attribute}")
    return "" if _PLACEHOLDER.fullmatch(text) else text


def _property(system: System, key: str) -> str:
    return system.run_command(("getprop", key)).text
