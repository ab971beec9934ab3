from __future__ import annotations

import pytest

from steelyard_agent.adb.adb import Adb, AdbError, connect, find_adb
from steelyard_agent.errors import UsageError
from tests.support.fake_phone import SERIAL


def test_a_script_answers_with_both_streams_and_its_status(phone):
    answer = phone.adb.shell("echo one; echo two >&2; exit 7")
    assert (answer.output, answer.status) == ("one\ntwo\n", 7)


def test_a_script_that_ends_without_a_line_end_loses_nothing(phone):
    assert phone.adb.shell("printf three").output == "three"


def test_an_old_phone_ends_its_lines_as_a_terminal_does(phone):
    phone.write("/carriage_returns", "")
    assert phone.adb.shell("echo one; echo two").output == "one\ntwo\n"


def test_a_file_is_pushed(phone, tmp_path):
    (tmp_path / "file").write_text("content")
    phone.adb.push(tmp_path / "file", "/data/local/tmp/there")
    assert phone.adb.shell("cat /data/local/tmp/there").output == "content"


def test_a_push_into_nowhere_is_refused(phone, tmp_path):
    (tmp_path / "file").write_text("content")
    with pytest.raises(AdbError, match="secure_mkdirs"):
        phone.adb.push(tmp_path / "file", "/data/no/such/folder/there")


def test_the_only_phone_needs_no_name(phones, phone):
    assert connect(str(phones.program), "").serial == SERIAL
    assert connect(str(phones.program), SERIAL).serial == SERIAL


def test_several_phones_must_be_told_apart(phones, phone):
    phones.add("192.168.1.5:5555")
    with pytest.raises(AdbError, match=r"192\.168\.1\.5:5555, 1A2B3C4D") as caught:
        connect(str(phones.program), "")
    assert caught.value.reason == "several_phones"
    assert connect(str(phones.program), "192.168.1.5:5555").serial == "192.168.1.5:5555"


@pytest.mark.parametrize(
    ("state", "reason", "advice"),
    [
        ("unauthorized", "phone_unauthorized", "accept this computer"),
        ("offline", "phone_offline", "plug it in again"),
        ("no permissions (user in plugdev group; are your udev rules wrong?)", "phone_no_permissions", "udev"),
        ("recovery", "adb_failed", "recovery"),
    ],
)
def test_a_phone_that_lets_nobody_in_says_what_to_do(phones, state, reason, advice):
    phones.add(state=state)
    with pytest.raises(AdbError, match=advice) as caught:
        connect(str(phones.program), SERIAL)
    assert caught.value.reason == reason
    assert SERIAL in str(caught.value)


def test_a_phone_that_is_not_there_is_named_beside_those_that_are(phones, phone):
    with pytest.raises(AdbError, match="no phone XYZ is plugged in; adb sees 1A2B3C4D"):
        connect(str(phones.program), "XYZ")
    phones.unplug()
    with pytest.raises(AdbError, match="switch on USB debugging"):
        connect(str(phones.program), "")


@pytest.mark.parametrize("serial", ["\x1b[31mred", "a\nb", "$(reboot)", "--help", "x" * 5000])
def test_a_serial_of_hostile_bytes_is_quoted_and_run_by_nobody(phones, phone, serial):
    with pytest.raises(AdbError, match=r"no phone .* is plugged in; adb sees 1A2B3C4D") as caught:
        connect(str(phones.program), serial)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
    phones.add("evil\x1b[2J", state="unauthorized")
    with pytest.raises(AdbError) as caught:
        connect(str(phones.program), "")
    assert caught.value.reason == "several_phones"
    assert str(caught.value).isprintable()


def test_a_phone_without_a_serial_number_is_seen(phones):
    phones.add("(no serial number)", state="unauthorized")
    with pytest.raises(AdbError, match="accept this computer"):
        connect(str(phones.program), "")


def test_a_phone_that_was_unplugged_is_gone(phones, phone):
    phones.unplug()
    with pytest.raises(AdbError, match="plug it in again") as caught:
        phone.adb.shell("true")
    assert caught.value.reason == "phone_gone"


def test_a_phone_that_says_nothing_does_not_hold_anybody(phone):
    with pytest.raises(AdbError, match="no answer within") as caught:
        phone.adb.shell("sleep 1", timeout_s=0.2)
    assert caught.value.reason == "phone_silent"


def test_adb_is_found_on_the_path_or_in_the_sdk(phones, tmp_path):
    assert find_adb({"PATH": str(phones.program.parent)}) == str(phones.program)
    tools = tmp_path / "sdk" / "platform-tools"
    tools.mkdir(parents=True)
    (tools / "adb").symlink_to(phones.program)
    assert find_adb({"PATH": "/nowhere", "ANDROID_HOME": str(tmp_path / "sdk")}) == str(tools / "adb")
    with pytest.raises(UsageError, match="platform tools"):
        find_adb({"PATH": "/nowhere"})


def test_a_program_that_cannot_be_run_is_named(tmp_path):
    with pytest.raises(AdbError, match="No such file"):
        Adb(str(tmp_path / "adb"), "X").shell("true")
    broken = tmp_path / "adb"
    broken.write_text("#!/bin/sh\necho adb: cannot connect to daemon >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(AdbError, match="cannot connect to daemon"):
        connect(str(broken), "")
