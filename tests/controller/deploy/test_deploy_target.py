"""Targets as they are typed."""

from __future__ import annotations

import pytest

from steelyard.deploy.target import SshTarget, parse_target
from steelyard.errors import UsageError


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ssh://pi@raspberrypi", SshTarget(host="raspberrypi", user="pi")),
        ("ssh://board", SshTarget(host="board")),
        ("ssh://root@10.0.0.7:2222", SshTarget(host="10.0.0.7", user="root", port=2222)),
        ("ssh://pi@[fe80::1]:22", SshTarget(host="fe80::1", user="pi", port=22)),
    ],
)
def test_a_target_is_read_and_written_the_same(text: str, target: SshTarget) -> None:
    assert parse_target(text) == target
    assert str(target) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pi@host",
        "ssh://",
        "ssh://-oProxyCommand=x",
        "ssh://-o@host",
        "ssh://host:0",
        "ssh://host:65536",
        "ssh://a b",
    ],
)
def test_what_is_no_target_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_target(text)
    assert refused.value.reason == "invalid_target"


def test_the_words_for_ssh_leave_to_its_configuration_what_was_not_said() -> None:
    assert SshTarget(host="board").words() == ("board",)
    assert SshTarget(host="board", user="pi", port=22).words() == ("-p", "22", "pi@board")
