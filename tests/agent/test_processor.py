from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.processor import Processor, features_of, parse_cpuinfo
from steelyard_agent.profiles import tomllib
from tests.support.fake_sysfs import FIXTURES


def cpuinfo(name):
    return tomllib.loads((FIXTURES / "sysfs" / f"{name}.toml").read_text("utf-8"))["files"]["/proc/cpuinfo"]


def test_cores_of_arm_are_named_by_their_part_and_never_by_the_hardware_line():
    processor = parse_cpuinfo(cpuinfo("raspberry_pi_5"))
    assert processor.name == "4x Cortex-A76"
    assert processor.model == "Raspberry Pi 5 Model B Rev 1.0"
    assert processor.features == ("asimd", "asimddp", "fphp", "asimdhp")
    assert "BCM2835" not in str(processor)


def test_int8_features_of_x86_are_found_and_no_hypervisor_is_made_up():
    processor = parse_cpuinfo(cpuinfo("n100"))
    assert processor.name == "Intel(R) N100"
    assert processor.features == ("avx2", "fma", "f16c", "avx_vnni")
    assert not processor.virtual
    assert parse_cpuinfo(cpuinfo("bare_virtual_machine")).virtual


def test_the_vector_extension_of_risc_v_is_found():
    processor = parse_cpuinfo(cpuinfo("absurd_values"))
    assert processor.features == ("v", "zvfh")
    assert processor.name == "spacemit,x60"


def test_only_what_every_core_has_is_a_feature_and_each_core_keeps_its_own():
    core = "processor\t: {}\nFeatures\t: fp asimd {}\nCPU implementer\t: 0x41\nCPU part\t: {}\n"
    text = "\n".join(
        [core.format(0, "", "0xd05"), core.format(1, "asimddp i8mm", "0xd0b"), core.format(2, "", "0xfff")]
    )
    processor = parse_cpuinfo(text)
    assert processor.features == ("asimd",)
    assert processor.core_features == (("asimd",), ("asimd", "asimddp", "i8mm"), ("asimd",))
    assert processor.core_ids == (0, 1, 2)
    assert features_of(processor, (1,)) == ("asimd", "asimddp", "i8mm")
    assert features_of(processor, (0, 1)) == ("asimd",)
    assert processor.name == "1x Cortex-A55 + 1x Cortex-A76 + 1x Arm part 0xfff"


def test_cores_that_are_offline_leave_a_gap_and_have_no_features():
    text = "processor\t: 0\nFeatures\t: asimd\n\nprocessor\t: 5\nFeatures\t: asimd i8mm\n\nprocessor\t: " + "9" * 5000
    processor = parse_cpuinfo(text)
    assert processor.core_ids == (0, 5)
    assert features_of(processor, (5,)) == ("asimd", "i8mm")
    assert features_of(processor, (1,)) == features_of(processor, ()) == features_of(processor, (5, 1)) == ()


def test_a_32_bit_userland_shows_neon_only():
    text = "processor\t: 0\nmodel name\t: ARMv7 Processor rev 4 (v7l)\nFeatures\t: half thumb neon vfpv4 crc32\n"
    text += "CPU implementer\t: 0x41\nCPU part\t: 0xd03\n\nHardware\t: BCM2835\n"
    processor = parse_cpuinfo(text)
    assert (processor.name, processor.features) == ("1x Cortex-A53", ("neon",))


@pytest.mark.parametrize(
    ("implementer", "part", "name"),
    [
        ("0x51", "0x804", "Kryo-4XX-Gold"),
        ("0x51", "0x001", "Oryon"),
        ("0x51", "0x999", "Qualcomm part 0x999"),
        ("0x61", "0x033", "Avalanche"),
        ("0x4e", "0x004", "Carmel"),
        ("0x53", "0x002", "Exynos-M3"),
        ("0x41", "0xD8E", "Neoverse-N3"),
        ("0x48", "0xd40", "Cortex-A76"),
        ("0x6d", "0xd49", "implementer 0x6d part 0xd49"),
        ("0x41", "many", "Arm part many"),
    ],
)
def test_cores_are_named_by_who_made_them_and_their_number(implementer, part, name):
    text = f"processor\t: 0\nCPU implementer\t: {implementer}\nCPU part\t: {part}\n"
    assert parse_cpuinfo(text).name == f"1x {name}"


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("model name\t: Spacemit(R) X60\nuarch\t: spacemit,x60", "Spacemit(R) X60"),
        ("uarch\t: sifive,u74-mc", "sifive,u74-mc"),
        ("mvendorid\t: 0x710", "RISC-V of vendor 0x710"),
        ("mmu\t: sv39", ""),
    ],
)
def test_a_risc_v_core_is_named_by_what_it_says_of_itself(lines, name):
    processor = parse_cpuinfo(f"processor\t: 0\nhart\t: 0\nisa\t: rv64imafdcv_zicsr_zvfh\n{lines}\n")
    assert processor.name == name
    assert processor.features == ("v", "zvfh")


def test_an_empty_cpuinfo_says_nothing():
    assert parse_cpuinfo("") == Processor()


@given(st.lists(st.sampled_from(["processor\t: 0", "flags : avx2 v", "isa : rv64gcv_x", "", ":", "CPU part :", "x"])))
def test_whatever_a_cpuinfo_holds_it_is_parsed(lines):
    processor = parse_cpuinfo("\n".join(lines))
    assert all(set(processor.features) <= set(core) for core in processor.core_features)


@given(st.text(alphabet=":\n\tprocesflagsCPUart 0"))
def test_any_text_is_parsed(text):
    processor = parse_cpuinfo(text)
    assert all(set(processor.features) <= set(core) for core in processor.core_features)
