from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.meters.sysfs import (
    NumberFile,
    SourceError,
    list_names,
    parse_number,
    read_number,
    read_text,
    text_or_empty,
)
from tests.support.fake_sysfs import FakeSysfs

FILE = "/sys/class/hwmon/hwmon0/power1_input"


def test_a_number_is_read_again_through_the_same_descriptor(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(FILE, "5\n")
    file = NumberFile(tree.system, FILE)
    assert file.read() == 5
    tree.write(FILE, "-17\n")
    assert file.read() == -17
    assert tree.open_count == 1
    file.close()
    assert file.read() == -17
    assert tree.open_count == 2
    file.close()


def test_a_file_that_comes_back_is_found_again(tmp_path):
    tree = FakeSysfs(tmp_path)
    file = NumberFile(tree.system, FILE)
    with pytest.raises(SourceError, match="power1_input is not there") as caught:
        file.read()
    assert caught.value.reason == "missing"
    tree.write(FILE, "1")
    assert file.read() == 1
    file.close()


def test_a_denied_file_names_the_permission_and_the_next_step(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(FILE, "1")
    tree.deny(FILE)
    with pytest.raises(SourceError, match=r"permission denied on /sys/.*run steelyard-agent as root") as caught:
        read_number(tree.system, FILE)
    assert caught.value.reason == "permission_denied"


def test_a_driver_that_fails_is_named_with_its_error(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(FILE + "/is_a_folder", "1")
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        NumberFile(tree.system, FILE).read()
    with pytest.raises(SourceError, match="cannot be read"):
        read_text(tree.system, FILE)


def test_a_closed_descriptor_is_dropped_after_a_failure(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(FILE, "1")
    file = NumberFile(tree.system, FILE)
    file.read()
    real_pread = os.pread

    def failing(*_: object) -> bytes:
        raise OSError(errno.ENODATA, "No data available")

    os.pread = failing  # type: ignore[assignment]
    try:
        with pytest.raises(SourceError, match="No data available"):
            file.read()
    finally:
        os.pread = real_pread
    assert file.read() == 1
    assert tree.open_count == 2
    file.close()


@pytest.mark.parametrize("text", ["", "\n", "\x00"])
def test_an_empty_file_is_said_to_be_empty(text):
    with pytest.raises(SourceError, match="/x is empty"):
        parse_number(text, "/x")


@pytest.mark.parametrize("text", ["n/a", "1.5", "0x10", "1 2", "\uff11", "9" * 31])
def test_what_is_no_whole_number_is_quoted(text):
    with pytest.raises(SourceError, match="which is no whole number"):
        parse_number(text, "/x")


@given(st.text())
def test_any_text_is_a_number_or_a_sentence(text):
    try:
        number = parse_number(text, "/x")
    except SourceError:
        return
    assert number == int(text.strip("\x00 \t\r\n"))


@given(st.integers(min_value=-(10**29), max_value=10**29))
def test_every_whole_number_comes_back(number):
    assert parse_number(f"{number}\n", "/x") == number


def test_names_come_in_natural_order_and_a_missing_folder_says_so(tmp_path):
    tree = FakeSysfs(tmp_path)
    for name in ("policy10", "policy2", "policy0", "boost"):
        tree.write(f"/sys/cpufreq/{name}/x", "")
    assert list_names(tree.system, "/sys/cpufreq") == (["boost", "policy0", "policy2", "policy10"], "")
    assert list_names(tree.system, "/sys/nothing") == ([], "not there")
    assert list_names(tree.system, "/sys/cpufreq/boost/x") == ([], "not a directory")


def test_a_label_that_cannot_be_read_is_empty(tmp_path):
    tree = FakeSysfs(tmp_path)
    assert text_or_empty(tree.system, "/sys/label") == ""
    tree.write("/sys/label", " VDD_IN\n")
    assert text_or_empty(tree.system, "/sys/label") == "VDD_IN"
