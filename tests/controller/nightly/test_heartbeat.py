from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from steelyard.nightly.heartbeat import Heartbeat, read_heartbeat
from steelyard.notify.secret import Secret
from steelyard.suites.errors import SuiteError
from tests.controller.notify.digests import Sleeps, world
from tests.support.web_service import Reply, replies, web_service


def _read(**table: Any) -> Heartbeat:
    found = read_heartbeat(table, folder=Path("/suites"), source="night.toml")
    assert found is not None
    return found


def test_a_night_says_that_it_began_and_how_it_ended() -> None:
    with web_service(replies(Reply(body=b"OK"))) as service:
        beat = _read(url=f"{service.address}/ping/1234/")
        start = beat.ping_start(world())
        ends = [beat.ping_end(code, world()) for code in (0, 1, 3, 70)]
    assert start is not None
    assert all(one.is_sent for one in (start, *ends))
    path = "GET /ping/1234"
    assert service.calls == [f"{path}/start", path, path, f"{path}/fail", f"{path}/fail"]


def test_the_exit_code_goes_where_the_suite_says() -> None:
    with web_service(replies(Reply())) as service:
        beat = _read(url=service.address, success="/{exit_code}", fail="/{exit_code}", start=False)
        assert beat.ping_start(world()) is None
        for code in (0, 4):
            beat.ping_end(code, world())
    assert service.calls == ["GET /0", "GET /4"]


def test_a_switch_that_does_not_answer_is_tried_again_and_fails_no_night() -> None:
    sleeps = Sleeps()
    with web_service(replies(Reply(status=500), Reply(status=500), Reply(body=b"OK"))) as service:
        result = _read(url=f"{service.address}/ping/1234").ping_end(0, world(sleeps))
    assert (result.is_sent, result.attempt_count, sleeps.waits) == (True, 3, [0.5, 1.0])
    gone = _read(url=f"{service.address}/ping/1234").ping_end(0, world(sleeps))
    assert (gone.channel, gone.is_sent, gone.attempt_count) == ("heartbeat", False, 4)
    assert "cannot be reached" in gone.reason


def test_the_address_of_a_switch_is_a_secret_that_no_sentence_tells() -> None:
    with web_service(lambda asked: Reply(status=404, body=f"no {asked.path}".encode())) as service:
        beat = _read(url_env="PING")
        assert beat.url == Secret(variable="PING")
        result = beat.ping_end(0, world(PING=f"{service.address}/ping/1234-5678"))
    assert not result.is_sent
    assert "1234-5678" not in result.reason
    missing = beat.ping_end(0, world())
    assert missing.reason.startswith("the variable PING is not set")


def test_a_suite_without_a_switch_has_none() -> None:
    assert read_heartbeat({}, folder=Path("/suites")) is None


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"url": "https://x", "url_env": "PING"}, "name one of url, url_env and url_file"),
        ({"start": "/start"}, "name one of url, url_env and url_file"),
        ({"url": "hc.example.org"}, "is no URL"),
        ({"url": "https://x", "failure": "/fail"}, "did you mean 'fail'"),
        ({"url": "https://x", "fail": "fail"}, "cannot stand behind a URL"),
        ({"url": "https://x", "fail": "/a b"}, "cannot stand behind a URL"),
        ({"url": "https://x", "start": "/{exit_code}"}, "cannot stand behind a URL"),
        ({"url": "https://x", "fail": 3}, "is not a text in quotes"),
    ],
)
def test_what_makes_no_switch_is_refused_with_what_to_write(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SuiteError) as refused:
        read_heartbeat(table, folder=Path("/suites"), source="night.toml")
    assert refused.value.reason == "invalid_heartbeat"
    assert sentence in str(refused.value)
