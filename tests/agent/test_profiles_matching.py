from __future__ import annotations

import pytest

from steelyard_agent.processor import Processor
from steelyard_agent.profiles import Identity, Match, Profile, identify, match_profile, nearest_profile
from tests.support.fake_sysfs import FakeSysfs


def profile(name, **match):
    return Profile(name=name, title=name, match=Match(**match))


BY_BOARD = profile("board", device_tree_compatibles=("maker,board",), soc_compatibles=("maker,chip",))
BY_MODEL = profile("model", device_tree_models=("Maker Board",))
BY_MODULE = profile("module", module_part_numbers=("3767-0005",))
BY_PRODUCT = profile("product", dmi_products=("Box",))
BY_GUEST = profile("guest", hypervisor=True)
BY_PHONE = profile("phone", android_models=("Phone 1",))
BY_CHIP = profile("phone-chip", android_socs=("Chip G1",))
BY_PROCESSOR = profile("processor", processors=("Maker X",))
BY_ANDROID = profile("android", android=True)
ALL = (BY_ANDROID, BY_PROCESSOR, BY_CHIP, BY_PHONE, BY_GUEST, BY_PRODUCT, BY_MODULE, BY_MODEL, BY_BOARD)
EVERYTHING = {
    "device_tree_compatibles": ("maker,board", "maker,chip"),
    "device_tree_model": "Maker Board Rev 2",
    "module_part_number": "3767-0005",
    "dmi_product": "Box 3",
    "virtual": True,
    "android_model": "phone 1",
    "android_soc": "CHIP G1",
    "processor": "Maker X 2000",
    "android_version": "15",
}


def test_what_names_the_board_goes_before_what_names_less():
    left = dict(EVERYTHING)
    for expected, said in zip(reversed(ALL), EVERYTHING, strict=True):
        assert match_profile(Identity(**left), ALL) is expected
        del left[said]
    assert match_profile(Identity(**left), ALL) is None


@pytest.mark.parametrize("model", ["Phone 10", "Phone", "My Phone 1"])
def test_names_of_phones_match_as_a_whole(model):
    assert match_profile(Identity(android_model=model), ALL) is None


def test_a_device_that_says_nothing_matches_nothing():
    assert match_profile(Identity(), ALL) is None
    assert nearest_profile(Identity(), ALL) is None


def test_a_board_with_a_known_chip_is_told_the_nearest_profile():
    identity = Identity(device_tree_compatibles=("other,board", "maker,chip"))
    assert match_profile(identity, ALL) is None
    nearest = nearest_profile(identity, ALL)
    assert nearest is not None
    assert (nearest.profile, nearest.soc_compatible) == (BY_BOARD, "maker,chip")


def test_a_board_says_who_it_is_in_its_device_tree(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write("/proc/device-tree/compatible", "nvidia,p3768-0000+p3767-0005\x00nvidia,tegra234\x00")
    tree.write("/proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\x00")
    tree.write("/proc/device-tree/chosen/nvidia,sku", "699-13767-0005-300 T.1\x00")
    tree.write(
        "/etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
    )
    identity = identify(tree.system, Processor(name="6x Cortex-A78AE"))
    assert identity == Identity(
        device_tree_compatibles=("nvidia,p3768-0000+p3767-0005", "nvidia,tegra234"),
        device_tree_model="NVIDIA Jetson Orin Nano Developer Kit",
        module_part_number="3767-0005",
        tegra_release="R36.4.3",
        processor="6x Cortex-A78AE",
    )
    assert identity.model == "NVIDIA Jetson Orin Nano Developer Kit"


@pytest.mark.parametrize(
    ("said", "model"),
    [
        ({"android_manufacturer": "Google", "android_model": "Pixel 8"}, "Google Pixel 8"),
        ({"android_manufacturer": "Xiaomi", "android_model": "xiaomi 14"}, "xiaomi 14"),
        ({"android_model": "Pixel 8"}, "Pixel 8"),
        ({"android_manufacturer": "Google"}, ""),
        ({"dmi_vendor": "AZW", "dmi_board": "AZW MINI S12"}, "AZW MINI S12"),
        ({"dmi_vendor": "AZW", "dmi_product": "MINI", "dmi_board": "x"}, "AZW MINI"),
        ({"dmi_product": "MINI", "android_model": "x", "device_tree_model": "Board"}, "Board"),
    ],
)
def test_the_model_is_of_the_source_that_knows_best(said, model):
    assert Identity(**said).model == model


@pytest.mark.parametrize(
    "placeholder", ["To be filled by O.E.M.", "Default string", "  ", "Unknown", "System Product Name"]
)
def test_what_makers_leave_blank_is_nothing(tmp_path, placeholder):
    tree = FakeSysfs(tmp_path)
    tree.write("/sys/class/dmi/id/product_name", f"{placeholder}\n")
    assert identify(tree.system, Processor()).dmi_product == ""


def test_a_device_without_anything_is_identified_as_nothing(tmp_path):
    assert identify(FakeSysfs(tmp_path).system, Processor()) == Identity()
