from __future__ import annotations

import pytest

from steelyard_agent.doctor import Answer, Capability
from steelyard_agent.readings import Kind, Reading, Scope, Status, unavailable
from tests.agent.doctor.examined import capability, device_of, diagnose_device, power_reading
from tests.support.fake_sysfs import FakeSysfs


@pytest.fixture
def tree(tmp_path):
    return FakeSysfs(tmp_path)


def zone(number, value=None, reason=""):
    source = f"/sys/class/thermal/thermal_zone{number}/temp"
    if value is None:
        why = f"{source} {reason}"
        return unavailable("temperature", reason=why, source=source, scope=Scope.SOC, unit="Cel", kind=Kind.SAMPLED)
    return Reading(
        name="cpu_temperature",
        value=value,
        status=Status.MEASURED,
        source=f"{source} (cpu-thermal)",
        scope=Scope.SOC,
        unit="Cel",
        kind=Kind.SAMPLED,
    )


def test_a_reading_is_shown_with_its_source_and_without_what_every_path_begins_with(tree):
    temperature = capability(diagnose_device(tree, device_of(meters=(zone(0, 46.25),))), "temperature")
    assert temperature.answer is Answer.YES
    assert temperature.details == ("cpu_temperature 46.25 Cel, from thermal_zone0 (cpu-thermal)",)


def test_zones_that_fail_alike_are_told_together(tree):
    meters = (zone(0, 46.0), zone(1, reason="is empty"), zone(2, reason="is empty"), zone(3, reason="is not there"))
    temperature = capability(diagnose_device(tree, device_of(meters=meters)), "temperature")
    assert temperature.answer is Answer.PARTLY
    assert temperature.reasons == (
        "thermal_zone1, thermal_zone2 is empty",
        "/sys/class/thermal/thermal_zone3/temp is not there",
    )
    assert temperature.next_step == "", "a zone that fails beside one that answers calls for nothing"


def test_a_counter_is_named_with_its_scope_and_its_caution(tree):
    counter = Reading(
        name="package_energy",
        value=1.0,
        status=Status.MEASURED,
        source="/sys/class/powercap/intel-rapl:0/energy_uj",
        scope=Scope.SOC,
        unit="J",
        kind=Kind.COUNTER,
        reason="wraps",
    )
    power = capability(diagnose_device(tree, device_of(meters=(counter,))), "power")
    assert power.details == ("package_energy: a counter in J, scope soc, from powercap/intel-rapl:0/energy_uj; wraps",)


def test_no_sensor_names_what_is_known_of_such_boards_and_a_next_step(tree):
    meters = (power_reading(None, "/sys/class/hwmon", reason="no sensor; looked at /sys/class/hwmon"),)
    power = capability(diagnose_device(tree, device_of(profile="raspberry-pi-4b", meters=meters)), "power")
    assert power.answer is Answer.NO
    assert power.reasons[-1] == "known of boards of this kind: no current sensor on the board"
    assert "external meter" in power.next_step


def test_a_guest_is_sent_to_its_host(tree):
    meters = (power_reading(None, "/sys/class/hwmon", reason="no sensor"),)
    power = capability(diagnose_device(tree, device_of(profile="virtual-machine", meters=meters)), "power")
    assert "not virtual" in power.next_step


def test_a_refusal_says_itself_what_to_do(tree):
    reason = "permission denied on /sys/class/powercap/intel-rapl:*/energy_uj"
    meters = (power_reading(None, "/sys/class/powercap", reason=reason),)
    power = capability(diagnose_device(tree, device_of(profile="n100", meters=meters)), "power")
    assert (power.reasons, power.next_step) == ((reason,), "")


def test_a_meter_that_nobody_asked_is_no_silent_no(tree):
    assert capability(diagnose_device(tree, device_of()), "power").reasons[0] == "no meter looked for it"


def test_on_an_emulated_processor_nothing_timed_is_a_latency(tree):
    diagnosis = diagnose_device(tree, device_of(emulated_by="qemu-user on x86_64"))
    for name in ("latency", "load"):
        emulated = capability(diagnosis, name)
        assert emulated.answer is Answer.NO
        assert "emulated (qemu-user on x86_64)" in emulated.reasons[0]
        assert emulated.next_step
    assert "emulated by qemu-user on x86_64" in diagnosis.notes[0]


def test_the_clock_is_asked_for_its_steps(tree):
    told = capability(diagnose_device(tree, device_of(), clock_resolution_s=None), "latency").details[0]
    assert told.endswith(" ns")


def test_memory_is_told_by_phase_where_the_kernel_lets_the_peak_be_reset(tree):
    tree.write("/proc/self/status", "VmHWM:\t 2 kB\nRssAnon:\t 1 kB\n")
    tree.write("/proc/self/clear_refs", "")
    assert capability(diagnose_device(tree, device_of()), "memory").answer is Answer.YES
    tree.deny("/proc/self/clear_refs")
    memory = capability(diagnose_device(tree, device_of()), "memory")
    assert memory.answer is Answer.PARTLY
    assert "clear_refs cannot be written: permission denied" in memory.reasons[0]


def test_an_old_kernel_and_a_missing_proc_have_no_phases(tree):
    assert "status is not there" in capability(diagnose_device(tree, device_of()), "memory").reasons[0]
    tree.write("/proc/self/status", "VmRSS:\t 1 kB\n")
    assert "no VmHWM or no RssAnon line" in capability(diagnose_device(tree, device_of()), "memory").reasons[0]


def test_macos_tells_the_peak_only(tree):
    memory = capability(diagnose_device(tree, device_of(), platform_name="darwin"), "memory")
    assert memory.answer is Answer.PARTLY
    assert "getrusage" in memory.details[0]


def test_a_no_without_a_reason_is_refused():
    with pytest.raises(ValueError, match="without a reason"):
        Capability(name="power", answer=Answer.NO)
