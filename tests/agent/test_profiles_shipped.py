"""The shipped profiles: every entry with a source, nothing that is not verified, every family there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steelyard_agent.description import describe_device
from steelyard_agent.profiles import Identity, is_shipped, load_profiles, match_profile, shipped_folder
from steelyard_agent.runtimes.lookup import BUILT_IN
from steelyard_agent.runtimes.onnxruntime_providers import PROVIDERS
from steelyard_agent.runtimes.provider_names import check_options
from steelyard_agent.runtimes.tflite_delegates import delegate_probes
from tests.support.fake_sysfs import load_tree

PROFILES = load_profiles()
BY_NAME = {profile.name: profile for profile in PROFILES}
FILES = sorted(shipped_folder().glob("*.toml"))

# What sources disagree on, or nobody checked: a profile leaves it to the probe.
UNVERIFIED = {
    "the update period of RAPL": r"(?i)\b(ms|us|milliseconds?|microseconds?)\b|\b(updat|renew|refresh|period)",
    "limits of power meters that nobody looked up": r"(?i)ppk2|power profiler|monsoon",
    "which Android version blocks which file": r"(?i)(android|api( level)?) ?[0-9]+.*(block|den[yi]|refus|forbid|read)",
}
# What each pattern must catch, or the test below could not fail.
WRONG = {
    "the update period of RAPL": (
        'covers = "RAPL counters, updated about once a millisecond"',
        'text = "the counter is renewed every 1 ms"',
    ),
    "limits of power meters that nobody looked up": ('text = "a PPK2 feeds 1 A"', 'text = "Monsoon: 4.5 V"'),
    "which Android version blocks which file": (
        'text = "Android 14 denies power_supply"',
        'text = "from API 29 on thermal zones cannot be read"',
    ),
}


def test_every_family_has_a_profile_and_every_profile_the_name_of_its_file():
    assert (
        {path.stem for path in FILES}
        == set(BY_NAME)
        == {
            "android-generic",
            "beaglebone-ai-64",
            "coral-dev-board",
            "google-tensor-g1",
            "google-tensor-g2",
            "google-tensor-g3",
            "jetson-agx-orin",
            "jetson-nano",
            "jetson-orin-nano",
            "n100",
            "raspberry-pi-3b-plus",
            "raspberry-pi-4b",
            "raspberry-pi-5",
            "raspberry-pi-zero-2w",
            "rock-5b",
            "spacemit-k1",
            "virtual-machine",
        }
    )
    assert all(Path(profile.origin).stem == profile.name and is_shipped(profile) for profile in PROFILES)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_entry_names_where_it_stands(profile):
    entries = [
        *profile.facts.values(),
        *profile.runtimes,
        *profile.providers,
        *profile.options,
        *profile.traps,
        *filter(None, (profile.processor, profile.power)),
    ]
    assert len(entries) >= 4
    assert all(len(entry.source) >= 10 for entry in entries)
    assert profile.power is not None, "every board says how power is read, or why it is not"


@pytest.mark.parametrize("what", UNVERIFIED)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_unverified_is_a_fact(file, what):
    assert re.search(UNVERIFIED[what], file.read_text("utf-8")) is None


@pytest.mark.parametrize("what", UNVERIFIED)
def test_what_is_unverified_would_be_found(what):
    assert all(re.search(UNVERIFIED[what], line) for line in WRONG[what])


@pytest.mark.parametrize("name", ["jetson-nano", "jetson-orin-nano", "jetson-agx-orin"])
def test_no_temperature_of_a_jetson_is_a_fact(name):
    text = (shipped_folder() / f"{name}.toml").read_text("utf-8")
    assert re.search(r"(?i)[0-9]+ ?(°|c\b|degrees)", text) is None
    assert "read the trip points of the device" in BY_NAME[name].facts["throttling"].value


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (Identity(device_tree_compatibles=("raspberrypi,3-model-b-plus", "brcm,bcm2837")), "raspberry-pi-3b-plus"),
        (Identity(device_tree_model="Raspberry Pi Zero 2 W Rev 1.0"), "raspberry-pi-zero-2w"),
        (Identity(device_tree_compatibles=("nvidia,p3768-0000+p3767-0005-super",)), "jetson-orin-nano"),
        (Identity(device_tree_compatibles=("maker,carrier", "nvidia,p3767-0003")), "jetson-orin-nano"),
        (Identity(device_tree_compatibles=("maker,carrier",), module_part_number="3701-0005"), "jetson-agx-orin"),
        (Identity(device_tree_compatibles=("nvidia,p3542-0000+p3448-0003", "nvidia,jetson-nano")), "jetson-nano"),
        (Identity(device_tree_compatibles=("radxa,rock-5b", "rockchip,rk3588")), "rock-5b"),
        (Identity(device_tree_compatibles=("google,imx8mq-phanbell", "fsl,imx8mq")), "coral-dev-board"),
        (Identity(device_tree_compatibles=("bananapi,bpi-f3", "spacemit,k1")), "spacemit-k1"),
        (Identity(processor="Intel(R) N100"), "n100"),
        (Identity(processor="Intel(R) N100", virtual=True), "virtual-machine"),
        (Identity(processor="Intel(R) N100", dmi_vendor="VMware, Inc."), "virtual-machine"),
        (Identity(dmi_product="KVM"), "virtual-machine"),
        (Identity(android_version="16", android_model="Pixel 6a", android_soc="Tensor"), "google-tensor-g1"),
        (Identity(android_version="15", android_model="Pixel Fold", android_soc="gs201"), "google-tensor-g2"),
        (Identity(android_version="15", android_model="Pixel 8 Pro"), "google-tensor-g3"),
        (Identity(android_version="15", android_model="Pixel 60", android_soc="Tensor G9"), "android-generic"),
    ],
)
def test_a_device_finds_its_profile(identity, name):
    profile = match_profile(identity, PROFILES)
    assert profile is not None
    assert profile.name == name


@pytest.mark.parametrize(
    ("tree", "name"),
    [
        ("jetson_orin_nano", "jetson-orin-nano"),
        ("n100", "n100"),
        ("pixel_8", "google-tensor-g3"),
        ("raspberry_pi_5", "raspberry-pi-5"),
        ("spacemit_k1", "spacemit-k1"),
        ("unknown_board", ""),
    ],
)
def test_a_recorded_device_finds_its_profile(tmp_path, tree, name):
    device = describe_device(load_tree(tree, tmp_path).system, name="x", device_id="y", profiles=PROFILES)
    assert device.profile == name


def test_an_unknown_device_has_no_profile():
    identity = Identity(device_tree_compatibles=("",), device_tree_model="Raspberry Pi 400", dmi_vendor="Dell Inc.")
    assert match_profile(identity, PROFILES) is None


# What makers ship in builds of their own of ONNX Runtime: the agent lists them where such a build is installed.
MAKERS_OWN = {"TIDLExecutionProvider", "SpaceMITExecutionProvider"}


def known_provider_names(runtime):
    if runtime == "onnxruntime":
        return {*PROVIDERS, *MAKERS_OWN}
    return {one.name for one in delegate_probes()} if runtime in {"litert", "tflite-runtime"} else {"CPU", "GPU", "NPU"}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_runtimes_providers_and_options_are_those_that_a_plan_can_ask_for(profile):
    assert {one.name for one in profile.runtimes} <= set(BUILT_IN)
    for one in profile.providers:
        assert one.runtime in BUILT_IN
        assert one.name in known_provider_names(one.runtime)
    for option in profile.options:
        assert not option.provider or option.provider in {one.name for one in profile.providers}
        if option.provider in PROVIDERS:
            known = PROVIDERS[option.provider]
            check_options(option.provider, [option.name], known.options, is_open=known.is_open)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_threads_that_fit_are_no_more_than_there_are_cores(profile):
    threads = [one.value for one in profile.options if one.name == "threads"]
    assert all(profile.processor is not None and value <= profile.processor.cores for value in threads)
