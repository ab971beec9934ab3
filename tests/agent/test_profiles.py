from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.profiles import (
    FACT_NAMES,
    Fact,
    Identity,
    Match,
    Profile,
    ProfileError,
    load_profiles,
    match_profile,
    parse_profile,
)

GOOD = """
schema_version = 1
name = "board"
title = "A board"
[match]
device_tree_compatibles = ["maker,board"]
[facts.memory]
value = "1 GB"
source = "data sheet"
"""


def test_every_shipped_profile_fits_the_schema_and_is_named_as_its_file():
    profiles = load_profiles()
    assert {profile.name for profile in profiles} == {
        "jetson-orin-nano",
        "n100",
        "raspberry-pi-3b-plus",
        "raspberry-pi-4b",
        "raspberry-pi-5",
        "raspberry-pi-zero-2w",
        "rock-5b",
        "virtual-machine",
    }
    assert all(fact.source for profile in profiles for fact in profile.facts.values())


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (Identity(device_tree_compatibles=("raspberrypi,3-model-b-plus", "brcm,bcm2837")), "raspberry-pi-3b-plus"),
        (Identity(device_tree_model="Raspberry Pi Zero 2 W Rev 1.0"), "raspberry-pi-zero-2w"),
        (Identity(device_tree_compatibles=("nvidia,p3768-0000+p3767-0005-super",)), "jetson-orin-nano"),
        (Identity(device_tree_compatibles=("radxa,rock-5b", "rockchip,rk3588")), "rock-5b"),
        (Identity(processor="Intel(R) N100"), "n100"),
        (Identity(processor="Intel(R) N100", virtual=True), "virtual-machine"),
        (Identity(processor="Intel(R) N100", dmi_vendor="VMware, Inc."), "virtual-machine"),
        (Identity(dmi_product="KVM"), "virtual-machine"),
    ],
)
def test_a_device_finds_its_profile(identity, name):
    profile = match_profile(identity, load_profiles())
    assert profile is not None
    assert profile.name == name


def test_an_unknown_device_has_no_profile():
    identity = Identity(device_tree_compatibles=("",), device_tree_model="Raspberry Pi 400", dmi_vendor="Dell Inc.")
    assert match_profile(identity, load_profiles()) is None


def test_a_good_text_is_a_profile():
    profile = parse_profile(GOOD, "board.toml")
    assert profile.match == Match(device_tree_compatibles=("maker,board",))
    assert profile.facts == {"memory": Fact(value="1 GB", source="data sheet")}


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("schema_version = 1", "schema_version = 2", "schema_version is 2"),
        ("schema_version = 1", "schema_version = 1\ncolour = 'red'", "unknown keys ['colour']"),
        ('name = "board"', "name = 5", "name is 5"),
        ('name = "board"', 'name = ""', "name or title is empty"),
        ("[match]", "[match]\nserial = ['x']", "match has unknown keys ['serial']"),
        ("[match]", "[match]\nhypervisor = 'yes'", "match.hypervisor is 'yes'"),
        ('device_tree_compatibles = ["maker,board"]', "", "matches nothing"),
        ('["maker,board"]', '"maker,board"', "not a list of texts"),
        ('["maker,board"]', '[""]', "not a list of texts"),
        ("[facts.memory]", "[facts.colour]", "facts ['colour'] are unknown"),
        ('source = "data sheet"', "", "a fact's source is ''"),
        ('value = "1 GB"', "value = 1", "a fact's value is 1"),
        ('source = "data sheet"', 'source = "x"\nyear = 1', "facts.memory has unknown keys ['year']"),
        ('[facts.memory]\nvalue = "1 GB"\nsource = "data sheet"', "[facts]\nmemory = 1", "facts.memory is 1"),
        ("[match]", "[[match]]", "not a table"),
        ("[match]", "[match", "board.toml"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_value(old, new, part):
    text = GOOD.replace(old, new)
    assert text != GOOD
    with pytest.raises(ProfileError) as caught:
        parse_profile(text, "board.toml")
    assert part in str(caught.value)
    assert caught.value.reason == "invalid_profile"


@given(st.text())
def test_any_text_is_a_profile_or_an_error_of_ours(text):
    with pytest.raises(ProfileError):
        parse_profile(text, "x.toml")


@given(
    facts=st.dictionaries(
        st.sampled_from(sorted(FACT_NAMES)), st.builds(lambda text: Fact(value=f"v{text}", source="s"), st.text())
    )
)
def test_facts_are_kept_as_they_are(facts):
    profile = Profile(name="a", title="b", match=Match(hypervisor=True), facts=facts)
    assert dict(profile.facts) == facts
