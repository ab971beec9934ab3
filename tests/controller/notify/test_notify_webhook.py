from __future__ import annotations

import pytest

from steelyard.notify.errors import NotifyError
from steelyard.notify.secret import Secret
from steelyard.notify.sending import ALWAYS, NOT_PASS, Subscription, send_to_all
from steelyard.notify.webhook import JSON, Webhook
from tests.controller.notify.digests import TOKEN, Sleeps, digest, world
from tests.support.web_service import Reply, WebService, replies, web_service

SECRET_PATH = "/services/T00/B00/XXXXXXXX"


def _webhook(service: WebService, **changes: object) -> Webhook:
    return Webhook(**{"name": "chat", "url": f"{service.address}/hook", **changes})  # type: ignore[arg-type]


def test_chat_gets_one_text() -> None:
    with web_service(replies(Reply(body=b"ok"))) as service:
        _webhook(service).send(digest(), world())
    assert service.calls == ["POST /hook"]
    assert service.asked[0].json == {
        "text": ":red_circle: *phones, night 31: REGRESSED, 1 regression confirmed*\n"
        "mobilenet p50 on pi5: 2.0 ms -&gt; 2.2 ms\n2 of 3 devices measured\nhttps://ci.example.org/phones/31"
    }


@pytest.mark.parametrize(
    ("verdict", "sign"),
    [("PASS", ":white_check_mark:"), ("REGRESSED", ":red_circle:"), ("INCOMPLETE", ":warning:")],
)
def test_the_verdict_is_seen_at_a_glance(verdict: str, sign: str) -> None:
    with web_service(replies(Reply())) as service:
        _webhook(service).send(digest(verdict=verdict), world())
    assert service.asked[0].json["text"].startswith(sign)


def test_the_name_of_a_model_calls_no_channel() -> None:
    with web_service(replies(Reply())) as service:
        _webhook(service).send(digest(lines=("<!channel> & <@U123>",)), world())
    assert "&lt;!channel&gt; &amp; &lt;@U123&gt;" in service.asked[0].json["text"]


def test_a_long_digest_is_cut_at_a_line_and_says_so() -> None:
    lines = tuple(f"line {number} {'x' * 60}" for number in range(200))
    with web_service(replies(Reply())) as service:
        _webhook(service).send(digest(lines=lines), world())
    text = service.asked[0].json["text"]
    assert len(text) <= 4000
    *kept, last = text.split("\n")
    assert kept[1:] == list(lines[: len(kept) - 1])
    assert last == f"… {202 - len(kept)} more lines: https://ci.example.org/phones/31"


def test_a_program_gets_the_fields() -> None:
    with web_service(replies(Reply())) as service:
        _webhook(service, format=JSON).send(digest(), world())
    sent = service.asked[0].json
    assert (sent["kind"], sent["schema_version"], sent["verdict"], sent["number"]) == ("digest", 1, "REGRESSED", 31)
    assert sent["lines"] == list(digest().lines)


def test_secret_headers_and_a_secret_address_are_sent_and_never_shown() -> None:
    with web_service(
        lambda asked: Reply(status=400, body=f"{asked.path} {asked.headers['X-Key']}".encode())
    ) as service:
        webhook = _webhook(service, url=Secret(variable="HOOK"), headers={"X-Key": Secret(variable="TOKEN")})
        with pytest.raises(NotifyError) as refused:
            webhook.send(digest(), world(HOOK=f"{service.address}{SECRET_PATH}"))
    assert service.asked[0].path == SECRET_PATH
    assert service.asked[0].headers["X-Key"] == TOKEN
    assert str(refused.value) == f"the webhook chat at {service.address} answered with status 400: *** ***"


def test_a_service_that_is_too_busy_is_waited_for_as_long_as_it_asks() -> None:
    sleeps = Sleeps()
    scripted = replies(
        Reply(status=429, headers={"Retry-After": "7"}),
        Reply(status=503, headers={"Retry-After": "Sat, 28 Nov 2026 03:00:20 GMT"}),
        Reply(status=429, headers={"Retry-After": "soon"}),
        Reply(),
    )
    with web_service(scripted) as service:
        (result,) = send_to_all([Subscription(channel=_webhook(service))], digest(), world(sleeps))
    assert (result.is_sent, result.attempt_count) == (True, 4)
    assert sleeps.waits == [7.0, 20.0, 2.0]


def test_a_wait_that_is_too_long_is_not_waited() -> None:
    sleeps = Sleeps()
    with web_service(replies(Reply(status=429, headers={"Retry-After": "3600"}))) as service:
        (result,) = send_to_all([Subscription(channel=_webhook(service))], digest(), world(sleeps))
    assert (result.is_sent, sleeps.waits) == (False, [])
    assert "asks to wait 3600 s" in result.reason


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410, 500])
def test_what_another_try_does_not_help_or_might_repeat_is_tried_once(status: int) -> None:
    with web_service(replies(Reply(status=status, headers={"Location": "/elsewhere"}))) as service:
        (result,) = send_to_all([Subscription(channel=_webhook(service))], digest(), world())
    assert (result.is_sent, len(service.asked)) == (False, 1)
    assert f"answered with status {status}" in result.reason


def test_a_service_that_is_not_there_is_tried_a_few_times() -> None:
    with web_service(replies(Reply())) as service:
        pass
    sleeps = Sleeps()
    (result,) = send_to_all([Subscription(channel=_webhook(service))], digest(), world(sleeps))
    assert (result.attempt_count, sleeps.waits) == (4, [0.5, 1.0, 2.0])
    assert "cannot be reached" in result.reason


def test_a_secret_that_is_not_set_fails_that_channel_alone() -> None:
    with web_service(replies(Reply())) as service:
        broken = _webhook(service, name="broken", url=Secret(variable="NOT_SET"))
        results = send_to_all(
            [Subscription(channel=broken), Subscription(channel=_webhook(service))], digest(), world()
        )
    assert [(one.channel, one.is_sent) for one in results] == [("broken", False), ("chat", True)]
    assert results[0].reason == "the variable NOT_SET is not set: set it where `steelyard nightly run` runs"


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("http://chat.example.org/x", "in the clear"),
        ("https://u:p@chat.example.org/x", "login"),
        ("nowhere", "no URL"),
        ("https://[::1/x", "Invalid IPv6"),
    ],
)
def test_an_address_that_would_give_a_secret_away_is_not_dialled(address: str, word: str) -> None:
    webhook = Webhook(name="chat", url=Secret(variable="HOOK"), headers={"X-Key": Secret(variable="TOKEN")})
    with pytest.raises(NotifyError, match=word) as refused:
        webhook.send(digest(), world(HOOK=address))
    assert refused.value.reason == "bad_address"


def test_a_quiet_night_is_told_only_to_those_who_want_it() -> None:
    with web_service(replies(Reply())) as service:
        subscriptions = [
            Subscription(channel=_webhook(service, name="all"), when=ALWAYS),
            Subscription(channel=_webhook(service, name="bad news"), when=NOT_PASS),
        ]
        quiet = send_to_all(subscriptions, digest(verdict="PASS"), world())
        bad = send_to_all(subscriptions, digest(verdict="INCOMPLETE"), world(), done=["all"])
    assert [one.channel for one in quiet] == ["all"]
    assert [one.channel for one in bad] == ["bad news"]


def test_a_file_may_hold_the_secret(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with web_service(replies(Reply())) as service:
        (tmp_path / "hook").write_text(f"{service.address}/from/file\n")
        _webhook(service, url=Secret(file=tmp_path / "hook")).send(digest(), world())
    assert service.calls == ["POST /from/file"]


@pytest.mark.parametrize("content", [b"", b"two\nlines", b"\xff\xfe", "schlüssel".encode()])
def test_a_file_without_a_secret_on_one_line_is_refused(content: bytes, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "hook").write_bytes(content)
    with pytest.raises(NotifyError, match="hook") as refused:
        Secret(file=tmp_path / "hook").read({})
    assert refused.value.reason == "missing_secret"
    with pytest.raises(NotifyError, match="No such file"):
        Secret(file=tmp_path / "other").read({})
