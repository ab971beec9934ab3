from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.surroundings.contract import Weighed
from steelyard_agent.surroundings.time_in_state import TimeInState, elapsed, parse_times
from tests.support.fake_sysfs import FakeSysfs

POLICY = "/sys/devices/system/cpu/cpufreq/policy"
SLOW, MIDDLE, FAST = 600_000, 1_200_000, 1_800_000


class Clock:
    """One policy whose clock ran as it is told, in seconds at 600, 1200 and 1800 MHz."""

    def __init__(self, tree, number=0, governor="performance", driver="cpufreq-dt"):
        self.tree = tree
        self.folder = f"{POLICY}{number}"
        self.ticks = {SLOW: 5000, MIDDLE: 300, FAST: 70000}
        tree.write(f"{self.folder}/scaling_governor", governor)
        tree.write(f"{self.folder}/scaling_driver", driver)
        self.run()

    def run(self, slow_s=0.0, middle_s=0.0, fast_s=0.0):
        for khz, seconds in ((SLOW, slow_s), (MIDDLE, middle_s), (FAST, fast_s)):
            self.ticks[khz] += round(seconds * 100)
        lines = "\n".join(f"{khz} {ticks}" for khz, ticks in self.ticks.items())
        self.tree.write(f"{self.folder}/stats/time_in_state", f"{lines}\n")


def weigh(tree, clock, timed_s=0.2, **ran):
    source = TimeInState(tree.system)
    before = source.look()
    clock.run(**ran)
    return source.weigh(before, source.look(), [round(timed_s * 1e9 / 100)] * 100)


@pytest.fixture
def tree(tmp_path):
    return FakeSysfs(tmp_path)


def test_a_still_governor_at_its_highest_frequency_rules_throttling_out(tree):
    assert weigh(tree, Clock(tree), fast_s=0.9) == Weighed(rules_out=True)


def test_time_below_the_steady_frequency_of_a_still_governor_is_evidence(tree):
    weighed = weigh(tree, Clock(tree), fast_s=0.9, middle_s=0.1)
    assert weighed.evidence == ("policy0 ran below its steady 1800 MHz for 10 % of the time",)


def test_a_block_that_throttled_most_of_its_time_is_seen_by_the_little_it_ran_fast(tree):
    assert weigh(tree, Clock(tree), fast_s=0.1, middle_s=0.9).evidence[0].endswith("for 90 % of the time")


@pytest.mark.parametrize(("fast_s", "middle_s"), [(1.0, 0.0), (1.0, 0.01), (9.8, 0.2), (0.1, 0.01)])
def test_two_percent_and_one_step_of_the_kernels_clock_are_not_evidence(tree, fast_s, middle_s):
    assert weigh(tree, Clock(tree), fast_s=fast_s, middle_s=middle_s) == Weighed(rules_out=True)


def test_three_percent_are_evidence_under_either_kind_of_governor(tree):
    still = weigh(tree, Clock(tree), fast_s=9.7, middle_s=0.3)
    assert still.evidence == ("policy0 ran below its steady 1800 MHz for 3 % of the time",)
    moved = weigh(tree, Clock(tree, governor="ondemand"), timed_s=10, slow_s=1, middle_s=0.3, fast_s=9.7)
    assert moved.evidence == ("policy0 ran below its steady 1800 MHz for 3 % of the timed samples",)
    steps = weigh(tree, Clock(tree, governor="ondemand"), timed_s=0.11, slow_s=1, middle_s=0.01, fast_s=0.1)
    assert steps.evidence == ()


def test_a_limit_that_held_all_along_is_not_ruled_out(tree):
    weighed = weigh(tree, Clock(tree), middle_s=0.9)
    assert not weighed.rules_out
    assert "ran at 1200 MHz at most, of 1800 MHz" in weighed.not_looked_at[0]


@pytest.mark.parametrize("driver", ["acpi-cpufreq", "exynos_cpufreq", "scmi", "tegra194", ""])
def test_a_driver_that_only_asks_firmware_for_a_frequency_rules_nothing_out(tree, driver):
    assert weigh(tree, Clock(tree, driver=driver), fast_s=0.9) == Weighed()


def test_the_firmware_of_a_raspberry_pi_lowers_the_clock_without_a_word(tree):
    tree.write("/proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0")
    assert weigh(tree, Clock(tree), fast_s=0.9) == Weighed()
    assert weigh(tree, Clock(tree), fast_s=0.9, slow_s=0.2).evidence


def test_an_idle_start_under_ondemand_is_no_evidence(tree):
    # 0.5 s at the lowest frequency before the samples, 0.1 s of ramp, then all samples at the highest.
    weighed = weigh(tree, Clock(tree, governor="ondemand"), timed_s=0.2, slow_s=0.5, middle_s=0.1, fast_s=0.25)
    assert weighed.evidence == ()
    assert "the governor ondemand moves the clock by itself" in weighed.not_looked_at[0]
    assert not weighed.rules_out


def test_samples_that_took_longer_than_the_clock_was_fast_are_evidence_under_ondemand(tree):
    weighed = weigh(tree, Clock(tree, governor="ondemand"), timed_s=10, slow_s=1, middle_s=3, fast_s=7)
    assert weighed.evidence == ("policy0 ran below its steady 1800 MHz for 30 % of the timed samples",)


def test_under_ondemand_a_block_that_was_slow_for_most_of_it_is_not_told_from_a_slow_governor(tree):
    weighed = weigh(tree, Clock(tree, governor="ondemand"), timed_s=10, slow_s=1, middle_s=9, fast_s=2)
    assert weighed.evidence == ()


def test_under_ondemand_a_block_without_samples_says_nothing(tree):
    assert weigh(tree, Clock(tree, governor="ondemand"), timed_s=0, slow_s=1, fast_s=1) == Weighed()


def test_samples_may_have_moved_between_clocks_that_their_governors_move(tree):
    clock = Clock(tree, governor="schedutil")
    Clock(tree, number=4, governor="schedutil")
    weighed = weigh(tree, clock, timed_s=10, slow_s=1, middle_s=3, fast_s=7)
    assert weighed.evidence == ()
    assert weighed.not_looked_at == ("policy0: the governor schedutil moves several clocks by itself",)


def test_every_clock_must_have_stood_still_to_rule_throttling_out(tree):
    clock, other = Clock(tree), Clock(tree, number=4)
    source = TimeInState(tree.system)
    before = source.look()
    clock.run(fast_s=1)
    other.run(middle_s=1)
    assert not source.weigh(before, source.look(), ()).rules_out


def test_looks_without_time_between_say_nothing(tree):
    assert weigh(tree, Clock(tree)) == Weighed()


@pytest.mark.parametrize("text", ["600000 0\n1200000 0\n1800000 40\n", "1800000 70100\n"])
def test_statistics_that_were_reset_or_lost_a_frequency_are_told(tree, text):
    clock = Clock(tree)
    source = TimeInState(tree.system)
    before = source.look()
    tree.write(f"{clock.folder}/stats/time_in_state", text)
    weighed = source.weigh(before, source.look(), ())
    assert weighed == Weighed(not_looked_at=("policy0: the time at each frequency was reset during the block",))


@pytest.mark.parametrize(
    ("governor", "driver", "may"),
    [("performance", "cpufreq-dt", True), ("ondemand", "cpufreq-dt", False), ("performance", "scmi", False)],
)
def test_whether_the_clocks_of_now_could_rule_throttling_out_is_known_before_any_block(tree, governor, driver, may):
    assert not TimeInState(tree.system).may_rule_out(), "there is no clock"
    Clock(tree, governor=governor, driver=driver)
    assert TimeInState(tree.system).may_rule_out() is may


@pytest.mark.parametrize(("text", "reason"), [("600000\n", "'600000' is not"), ("frozen", "'frozen'")])
def test_a_file_that_cannot_be_understood_is_told(tree, text, reason):
    Clock(tree)
    source = TimeInState(tree.system)
    before = source.look()
    tree.write(f"{POLICY}0/stats/time_in_state", text)
    assert reason in source.weigh(before, source.look(), ()).not_looked_at[0]


def test_a_file_that_is_denied_is_told_and_a_kernel_without_statistics_says_nothing(tree, tmp_path):
    Clock(tree)
    tree.deny(f"{POLICY}0/stats/time_in_state")
    source = TimeInState(tree.system)
    assert "permission denied" in source.weigh(source.look(), source.look(), ()).not_looked_at[0]
    bare = TimeInState(FakeSysfs(tmp_path / "bare").system)
    assert bare.weigh(bare.look(), bare.look(), ()) == Weighed()


@given(st.dictionaries(st.integers(1, 10**7), st.integers(0, 10**12), min_size=1))
def test_what_the_kernel_writes_is_read_back(ticks):
    text = "".join(f"{khz} {spent}\n" for khz, spent in ticks.items())
    assert parse_times(text) == {khz: spent * 0.01 for khz, spent in ticks.items()}
    assert elapsed(parse_times(text), parse_times(text)) == {}


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    try:
        assert all(seconds >= 0 for seconds in parse_times(text).values())
    except ValueError as error:
        assert "is not a frequency and a time" in str(error)  # noqa: PT017
