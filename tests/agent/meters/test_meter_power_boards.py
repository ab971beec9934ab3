"""Power of Raspberry Pi and Jetson boards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.meters.access.pi_pmic import rail_powers_w
from steelyard_agent.meters.access.registry import ACCESS_NAMES, open_access, runs_program
from steelyard_agent.meters.ina3221_iio import IIO_FOLDER
from steelyard_agent.meters.power import PowerMeter, find_power_sources
from steelyard_agent.meters.sysfs import SourceError
from steelyard_agent.readings import Kind, Scope
from tests.support.fake_sysfs import FakeSysfs, load_tree

PMIC = "vcgencmd pmic_read_adc"
CHIP = "/sys/class/hwmon/hwmon0"
NANO = f"{IIO_FOLDER}/6-0040/iio:device0"

# From a Raspberry Pi 5 at rest; public, printed by the firmware.
RAILS = """
 3V7_WL_SW_A current(0)=0.09466522A
  VDD_CORE_A current(7)=1.11625000A
 3V7_WL_SW_V volt(8)=3.62925200V
  VDD_CORE_V volt(15)=0.74944980V
     EXT5V_V volt(24)=5.08530000V
      BATT_V volt(25)=0.00000000V
"""


def pi5(tmp_path, answer=RAILS):
    tree = FakeSysfs(tmp_path)
    tree.write("/proc/device-tree/compatible", "raspberrypi,5-model-b\0brcm,bcm2712\0")
    tree.commands[PMIC] = answer
    return tree


def test_a_pi_5_is_the_sum_of_its_rails_with_what_that_leaves_out(tmp_path):
    (reading,) = PowerMeter(pi5(tmp_path).system).probe()
    assert (reading.name, reading.scope, reading.unit) == ("board_rails_power", Scope.BOARD_RAILS, "W")
    assert reading.value == pytest.approx(0.09466522 * 3.629252 + 1.11625 * 0.7494498, abs=1e-6)
    assert reading.reason.startswith("without USB, HATs, PCIe at 5 V")
    assert reading.source.startswith("vcgencmd pmic_read_adc (")
    assert reading.rate_hz is None


def test_it_is_read_ten_times_a_second_at_most_and_apart_from_the_others(tmp_path):
    (source,) = find_power_sources(pi5(tmp_path).system).sources
    assert source.sampling_period_ns(20_000_000) == 100_000_000
    assert source.runs_program


def test_the_boards_input_is_never_added_to_the_rails_that_it_feeds():
    told = RAILS + "EXT5V_A current(26)=0.90000000A\nBATT_A current(27)=0.10000000A\n"
    assert rail_powers_w(told) == rail_powers_w(RAILS)


def test_a_rail_without_volts_or_without_amperes_is_no_power():
    assert rail_powers_w("HDMI_A current(22)=0.5A\nDDR_V volt(1)=1.1V\nnonsense\n") == {}


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z0-9]{1,8}(_[A-Z0-9]{1,4})?", fullmatch=True).filter(lambda n: n not in ("EXT5V", "BATT")),
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)),
        max_size=6,
    )
)
def test_every_rail_that_is_printed_is_read_back(rails):
    text = "".join(
        f"{name}_A current({i})={a / 1e8:.8f}A\n {name}_V volt({i})={v / 1e8:.8f}V\n"
        for i, (name, (a, v)) in enumerate(rails.items())
    )
    assert rail_powers_w(text) == {name: pytest.approx(a * v / 1e16) for name, (a, v) in rails.items()}


@given(st.text())
def test_no_text_breaks_the_parser(text):
    assert all(power >= 0 for power in rail_powers_w(text).values())


def test_a_denied_device_names_the_group(tmp_path):
    tree = pi5(tmp_path, "!vcgencmd ended with status 255 and said: Try creating a device file")
    tree.write("/dev/vcio", "")
    tree.deny("/dev/vcio")
    (reading,) = PowerMeter(tree.system).probe()
    assert reading.value is None
    assert "permission denied on /dev/vcio" in reading.reason
    assert "group video" in reading.reason


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ('error=1 error_msg="Command not registered"', "sudo rpi-eeprom-update -a"),
        ("!the program vcgencmd is not installed here", "not installed here"),
        ("!vcgencmd pmic_read_adc did not answer within 2 s", "did not answer"),
        ("throttled=0x0", "told no rail's volts and amperes: 'throttled=0x0'"),
    ],
)
def test_a_chip_that_does_not_answer_says_why(tmp_path, answer, part):
    tree = pi5(tmp_path, answer)
    tree.write("/dev/vcio", "")
    (reading,) = PowerMeter(tree.system).probe()
    assert (reading.name, reading.value) == ("board_rails_power", None)
    assert part in reading.reason


def test_other_boards_are_not_asked(tmp_path):
    tree = load_tree("raspberry_pi_4b", tmp_path)
    PowerMeter(tree.system).probe()
    assert PMIC not in tree.asked


def test_an_agx_orin_is_the_sum_of_three_rails_and_never_of_the_fourth(tmp_path):
    tree = load_tree("jetson_agx_orin", tmp_path)
    readings = {reading.name: reading for reading in PowerMeter(tree.system).probe()}
    module = readings["module_power"]
    parts = [readings[f"{rail}_power"].value for rail in ("vdd_gpu_soc", "vdd_cpu_cv", "vin_sys_5v0")]
    assert module.value == pytest.approx(sum(parts))
    assert module.scope is Scope.MODULE
    assert "without its carrier board" in module.reason
    # Two rails at 20 V in steps of 0.4 W and one at 5 V in steps of 0.1 W.
    assert module.resolution == pytest.approx((2 * 0.4**2 + 0.1**2) ** 0.5, rel=0.05)
    assert "a part of VIN_SYS_5V0" in readings["vddq_vdd2_1v8ao_power"].reason
    assert next(iter(readings)) == "module_power", "what covers most comes first"


def test_a_sum_without_one_of_its_rails_is_not_made(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(f"{CHIP}/name", "ina3221")
    for channel, label in ((1, "VDD_GPU_SOC"), (2, "VDD_CPU_CV")):
        for name, text in (
            (f"in{channel}_label", label),
            (f"in{channel}_input", "19000"),
            (f"curr{channel}_input", "100"),
        ):
            tree.write(f"{CHIP}/{name}", text)
    assert "module_power" not in {source.name for source in find_power_sources(tree.system).sources}


def test_a_sum_whose_rail_fails_is_no_smaller_sum(tmp_path):
    tree = load_tree("jetson_agx_orin", tmp_path)
    meter = PowerMeter(tree.system)
    meter.probe()
    rail = next(s for s in find_power_sources(tree.system).sources if s.name == "vin_sys_5v0_power")
    tree.write(rail.addresses[1], "")
    module = next(reading for reading in meter.read() if reading.name == "module_power")
    assert module.value is None
    assert "is empty" in module.reason
    meter.close()


def test_an_orin_nano_has_its_input_in_steps_of_40_milliwatts(tmp_path):
    first = PowerMeter(load_tree("jetson_orin_nano", tmp_path).system).probe()[0]
    assert (first.name, first.scope) == ("vdd_in_power", Scope.MODULE)
    assert first.resolution == pytest.approx(0.04, rel=0.05)


def test_the_chips_own_averaging_is_its_rate(tmp_path):
    tree = FakeSysfs(tmp_path)
    for name, text in (("name", "ina226"), ("power1_input", "1000000"), ("update_interval", "35")):
        tree.write(f"{CHIP}/{name}", text)
    (source,) = find_power_sources(tree.system).sources
    assert (source.averaging_s, source.update_period_s) == (0.035, 0.035)
    (reading,) = PowerMeter(tree.system).probe()
    assert reading.rate_hz == pytest.approx(1 / 0.035)
    tree.write(f"{CHIP}/update_interval", "soon")
    assert find_power_sources(tree.system).sources[0].update_period_s is None


def test_a_jetson_with_jetpack_4_counts_milliwatts(tmp_path):
    readings = PowerMeter(load_tree("jetson_nano_jetpack4", tmp_path).system).probe()
    assert (readings[0].name, readings[0].value, readings[0].scope) == ("pom_5v_in_power", 2.532, Scope.MODULE)
    assert {reading.scope for reading in readings[1:]} == {Scope.BOARD_RAILS}
    assert all(reading.kind is Kind.SAMPLED for reading in readings)


def test_rails_of_jetpack_4_are_believed_by_name_and_the_modules_own_comes_first(tmp_path):
    tree = FakeSysfs(tmp_path)
    for chip, rails in (
        ("0-0040/iio:device0", ("VDD_SYS_GPU", "MYSTERY", "")),
        ("0-0041/iio:device1", ("VDD_IN", "VDD_SYS_CPU", "VDD_SYS_DDR")),
        ("unbind/iio:device9", ("VDD_IN", "", "")),
    ):
        for channel, rail in enumerate(rails):
            tree.write(f"{IIO_FOLDER}/{chip}/rail_name_{channel}", rail)
            tree.write(f"{IIO_FOLDER}/{chip}/in_power{channel}_input", "1500")
    found = find_power_sources(tree.system)
    assert [source.name for source in found.sources] == [
        *("vdd_in_power", "vdd_sys_gpu_power", "vdd_sys_cpu_power", "vdd_sys_ddr_power"),
    ]
    assert f"{IIO_FOLDER} (rails found: MYSTERY)" in found.looked_at


def test_a_rail_of_jetpack_4_that_cannot_be_read_says_why(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(f"{NANO}/rail_name_0", "POM_5V_IN")
    (reading,) = PowerMeter(tree.system).probe()
    assert (reading.name, reading.value) == ("pom_5v_in_power", None)
    assert "in_power0_input is not there" in reading.reason


def test_accesses_are_found_by_name(tmp_path):
    system = FakeSysfs(tmp_path).system
    assert {name for name in ACCESS_NAMES if runs_program(name)} == {"pi-pmic", "termux-battery"}
    with pytest.raises(ValueError, match=r"no access 'os\.system'"):
        open_access(system, "os.system", ("/x",))
    with pytest.raises(ValueError, match="1 files are no pairs"):
        open_access(system, "file-pairs", ("/x",))
    for name in ("files", "file-pairs", "android-battery", "pi-pmic", "termux-battery"):
        reader = open_access(system, name, ("/x", "/y"))
        with pytest.raises(SourceError):
            reader.read()
        reader.close()
