from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.description import RuntimeDescription, describe_device
from steelyard_agent.doctor import diagnose, diagnosis_to_json
from steelyard_agent.errors import UsageError
from steelyard_agent.meters.catalog import probe_meters
from steelyard_agent.profiles import Identity, load_profiles, match_profile, parse_profile
from steelyard_agent.profiles.described import DescribedDevice, DescribedMeter, DescribedRuntime, read_description
from steelyard_agent.profiles.draft import draft_profile
from steelyard_agent.readings import Scope
from tests.support.fake_sysfs import load_tree

SOURCE = "probed on the device by steelyard-agent 1.2 on 2026-11-23"
RUNTIMES = (
    RuntimeDescription(
        name="onnxruntime", version="1.22.0", providers=("CPUExecutionProvider", "XnnpackExecutionProvider")
    ),
    RuntimeDescription(name="litert", reason="not installed"),
)


def draft(device):
    text = draft_profile(device, agent_version="1.2", date="2026-11-23")
    return text, parse_profile(text, "draft.toml")


def described(tree):
    device = describe_device(tree.system, name="bench", device_id="d", runtimes=RUNTIMES)
    document = diagnosis_to_json(diagnose(tree.system, device, profiles=load_profiles()))
    return read_description(json.dumps(document))


@pytest.mark.parametrize(
    "tree",
    [
        *("android_generic", "bare_virtual_machine", "beaglebone_ai_64", "coral_dev_board", "jetson_agx_orin"),
        *("jetson_nano_jetpack4", "jetson_orin_nano", "n100", "pixel_8", "raspberry_pi_3b_plus", "raspberry_pi_5"),
        *("rock_5b", "spacemit_k1", "unknown_board"),
    ],
)
def test_the_draft_of_a_board_fits_the_schema_and_matches_the_board(tmp_path, tree):
    board = load_tree(tree, tmp_path)
    device = described(board)
    text, profile = draft(device)
    assert match_profile(device.identity, [profile]) is profile
    assert "TODO" in text
    power = [profile.power] if profile.power else []
    assert bool(power) == any(
        one.unit in {"W", "J"} and one.value is not None for one in probe_meters(board.system).readings
    )
    sources = [*profile.facts.values(), *profile.runtimes, *profile.providers, profile.processor, *power]
    assert {one.source for one in sources} == {SOURCE}


def test_a_draft_holds_what_was_probed(tmp_path):
    text, profile = draft(described(load_tree("raspberry_pi_5", tmp_path)))
    assert (profile.name, profile.title) == ("raspberry-pi-5-model-b", "Raspberry Pi 5 Model B Rev 1.0")
    assert profile.match.device_tree_compatibles == ("raspberrypi,5-model-b",)
    assert profile.match.soc_compatibles == ("brcm,bcm2712",)
    assert profile.processor.cores == 4
    assert "asimddp" in profile.processor.features
    assert profile.facts["soc"].value == "4x Cortex-A76"
    assert profile.power.kind == "pmic"
    assert profile.power.scope is Scope.BOARD_RAILS
    assert [one.name for one in profile.runtimes] == ["onnxruntime"]
    assert '# TODO: [[runtimes]] "litert" cannot be used here' in text
    assert [one.name for one in profile.providers] == ["XnnpackExecutionProvider"]
    assert text.startswith('# Drafted by steelyard-agent 1.2 on 2026-11-23 from the device "bench".\n')


def test_a_sensor_that_was_not_found_or_denied_is_no_fact_about_the_board(tmp_path):
    text, profile = draft(described(load_tree("rock_5b", tmp_path / "rock")))
    assert profile.power is None
    assert '# TODO: [power] could not be read here: "no sensor; looked at' in text
    assert [(one.name, one.value) for one in profile.options] == [("cores", "big")]
    tree = load_tree("n100", tmp_path / "pc")
    for zone in ("0", "0:0", "0:1"):
        tree.deny(f"/sys/class/powercap/intel-rapl:{zone}/energy_uj")
    text, profile = draft(described(tree))
    assert profile.power is None
    assert '# TODO: [power] could not be read here: "permission denied on /sys/class/powercap' in text


HOSTILE = 'x"\n[processor]\ncores = 9\r\x1b[31m\u2028# '


def test_hostile_text_stays_within_its_comment_or_its_string():
    runtime = DescribedRuntime(name=HOSTILE, version="", reason=HOSTILE, providers=(HOSTILE,))
    usable = replace(runtime, version=HOSTILE)
    denied = DescribedMeter(name="power", has_value=False, source=HOSTILE, scope=Scope.SOC, reason=HOSTILE)
    identity = Identity(device_tree_compatibles=(HOSTILE, HOSTILE), device_tree_model=HOSTILE)
    texts = {"name": HOSTILE, "model": HOSTILE, "processor": HOSTILE, "features": (HOSTILE,)}
    device = replace(LEAST, **texts, identity=identity, runtimes=(runtime, usable), meters=(denied,))
    text, profile = draft(device)
    assert (profile.processor.cores, profile.power) == (None, None)
    assert (profile.title, profile.match.device_tree_compatibles) == (HOSTILE, (HOSTILE,))
    assert [one.name for one in profile.providers] == [HOSTILE], "of the runtime that can be used, and once"
    assert all(line.isprintable() for line in text.split("\n"))
    _, read = draft(replace(device, meters=(replace(denied, has_value=True),)))
    assert read.power.covers == f"power from {HOSTILE}"


LEAST = DescribedDevice(
    name="x", model="", architecture="", processor="", core_count=0, features=(), memory_bytes=0, identity=Identity()
)


def test_a_device_that_says_nothing_cannot_be_drafted():
    with pytest.raises(UsageError, match="says nothing by which another of its kind could be known"):
        draft(LEAST)


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ({"processor": "Apple M2"}, "processors", ("Apple M2",)),
        ({"identity": Identity(virtual=True)}, "hypervisor", True),
        ({"identity": Identity(dmi_product="MINI S12")}, "dmi_products", ("MINI S12",)),
        ({"identity": Identity(android_model="Phone", android_soc="G1")}, "android_socs", ("G1",)),
        ({"identity": Identity(device_tree_model="Board")}, "device_tree_models", ("Board",)),
    ],
)
def test_a_draft_matches_by_what_the_device_says(change, key, value):
    _, profile = draft(replace(LEAST, **change))
    assert getattr(profile.match, key) == value


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("/sys/class/powercap/intel-rapl:0/energy_uj", "rapl"),
        ("/sys/class/hwmon/hwmon1/power1_input (ina226, shunt 10 mOhm)", "ina2xx"),
        ("ina3221x/6-0040/iio:device0", "ina3221"),
        ("/sys/class/power_supply/battery", "battery"),
        ("nvmlDeviceGetTotalEnergyConsumption", "nvml"),
        ("/sys/class/hwmon/hwmon0/power1_average (amdgpu)", "hwmon"),
    ],
)
def test_the_kind_of_a_power_source_is_told_by_its_name(source, kind):
    meter = DescribedMeter(name="power", has_value=True, source=source, scope=Scope.SOC, reason="")
    _, profile = draft(replace(LEAST, processor="X", meters=(meter,)))
    assert profile.power.kind == kind


@given(
    st.builds(
        DescribedDevice,
        name=st.text(),
        model=st.text(),
        architecture=st.text(),
        processor=st.text(min_size=1),
        core_count=st.integers(0, 4096),
        features=st.lists(st.text(), max_size=2).map(tuple),
        memory_bytes=st.integers(0, 2**50),
        identity=st.builds(Identity, device_tree_compatibles=st.lists(st.text(min_size=1), max_size=3).map(tuple)),
        runtimes=st.lists(
            st.builds(
                DescribedRuntime,
                name=st.text(min_size=1),
                version=st.text(),
                reason=st.text(),
                providers=st.lists(st.text(min_size=1), max_size=2).map(tuple),
            ),
            max_size=2,
        ).map(tuple),
    )
)
def test_whatever_a_device_calls_itself_its_draft_is_refused_or_fits(device):
    blank = [device.processor, *device.identity.device_tree_compatibles]
    blank += [text for one in device.runtimes for text in (one.name, *one.providers)]
    if all(text.strip() for text in blank):
        draft(device)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "this is no description of a device"),
        ("[]", "it is not a JSON object"),
        ('{"device": {"name": "x"}}', "model is missing"),
        ('{"name": 1}', "name is 1, not a text"),
    ],
)
def test_what_describes_no_device_is_refused(text, said):
    with pytest.raises(UsageError) as caught:
        read_description(text)
    assert said in str(caught.value)


def test_a_description_may_lie_two_levels_deep_and_have_no_identity(tmp_path):
    tree = load_tree("n100", tmp_path)
    device = describe_device(tree.system, name="bench", device_id="d")
    record = diagnosis_to_json(diagnose(tree.system, device))["device"]
    del record["identity"]
    wrapped = json.dumps({"device": {"description": record}})
    assert read_description(wrapped).identity == Identity()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("identity", [], "identity is [], not an object"),
        ("runtimes", {}, "runtimes is {}, not a list of objects"),
        ("processor_features", "avx2", "not a list of texts"),
        ("memory_bytes", "1", "memory_bytes is '1', not a whole number"),
    ],
)
def test_a_description_with_a_wrong_value_is_refused(tmp_path, key, value, said):
    tree = load_tree("n100", tmp_path)
    device = describe_device(tree.system, name="bench", device_id="d")
    record = diagnosis_to_json(diagnose(tree.system, device))["device"]
    with pytest.raises(UsageError) as caught:
        read_description(json.dumps({**record, key: value}))
    assert said in str(caught.value)
