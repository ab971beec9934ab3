from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.notify.errors import NotifyError
from steelyard.notify.secret import Secret
from steelyard.notify.sending import Subscription, send_to_all
from steelyard.notify.smtp import NO_TLS, STARTTLS, TLS, Mail
from tests.controller.notify.digests import TOKEN, Sleeps, digest, world
from tests.controller.notify.mail_server import MailServer, mail_server, self_signed


def _mail(server: MailServer, **changes: object) -> Mail:
    settings: dict[str, object] = {
        "name": "team",
        "host": "127.0.0.1",
        "port": server.port,
        "sender": "Steelyard <night@example.org>",
        "recipients": ("ada@example.org", "bo@example.org"),
        "security": NO_TLS,
        **changes,
    }
    return Mail(**settings)  # type: ignore[arg-type]


def test_a_digest_arrives_as_text_and_html() -> None:
    with mail_server(MailServer()) as server:
        _mail(server).send(digest(html="<p>hello</p>"), world())
    (message,) = server.messages
    assert server.recipients == [["ada@example.org", "bo@example.org"]]
    assert message["Subject"] == "phones, night 31: REGRESSED, 1 regression confirmed"
    assert (message["From"], message["To"]) == ("Steelyard <night@example.org>", "ada@example.org, bo@example.org")
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines() == [*digest().lines, "", "https://ci.example.org/phones/31"]
    assert html.get_content().strip() == "<p>hello</p>"


def test_without_html_of_its_own_the_lines_are_escaped() -> None:
    with mail_server(MailServer()) as server:
        _mail(server).send(digest(lines=("<script>alert(1)</script>",)), world())
    html = server.messages[0].get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
    assert "&lt;script&gt;" in html.get_content()


def test_the_same_night_has_the_same_message_id_and_another_night_another_one() -> None:
    with mail_server(MailServer()) as server:
        for one in (digest(), digest(), digest(number=32)):
            _mail(server).send(one, world())
    ids = [message["Message-ID"] for message in server.messages]
    assert ids[0] == ids[1] != ids[2]
    assert len({message["References"] for message in server.messages}) == 1


@pytest.mark.parametrize("security", [STARTTLS, TLS])
def test_mail_is_encrypted_and_logs_in(security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    known = MailServer(login=("night", TOKEN))
    with mail_server(known, certificate=certificate, from_first_byte=security == TLS) as server:
        mail = _mail(server, security=security, user="night", password=Secret(variable="TOKEN"))
        mail.send(digest(), world())
    assert server.were_encrypted == [True]
    assert server.logins == ["night"]


@pytest.mark.parametrize("security", [STARTTLS, TLS])
def test_a_certificate_that_nobody_vouches_for_is_refused(security: str, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with (
        mail_server(MailServer(), certificate=certificate, from_first_byte=security == TLS) as server,
        pytest.raises(NotifyError, match="not trusted here") as refused,
    ):
        _mail(server, security=security).send(digest(), world())
    assert not refused.value.is_transient
    assert server.messages == []


def test_a_server_without_starttls_is_given_nothing() -> None:
    with mail_server(MailServer()) as server, pytest.raises(NotifyError, match="check its security and port"):
        _mail(server, security=STARTTLS).send(digest(), world())
    assert server.messages == []


def test_a_wrong_password_is_not_tried_again_and_not_shown() -> None:
    sleeps = Sleeps()
    with mail_server(MailServer(login=("night", "another"))) as server:
        mail = _mail(server, user="night", password=Secret(variable="TOKEN"))
        (result,) = send_to_all([Subscription(channel=mail)], digest(), world(sleeps))
    assert (result.is_sent, result.attempt_count, sleeps.waits) == (False, 1, [])
    assert "535 *** is wrong" in result.reason
    assert TOKEN not in result.reason


def test_a_server_that_is_busy_is_tried_again() -> None:
    sleeps = Sleeps()
    with mail_server(MailServer(answers={"mail FROM": ["451 later", "421 later"]})) as server:
        (result,) = send_to_all([Subscription(channel=_mail(server))], digest(), world(sleeps))
    assert (result.is_sent, result.attempt_count) == (True, 3)
    assert sleeps.waits == [0.5, 1.0]
    assert len(server.messages) == 1


def test_a_message_that_is_refused_for_good_is_not_tried_again() -> None:
    with (
        mail_server(MailServer(answers={"mail FROM": ["550 no mail from you"]})) as server,
        pytest.raises(NotifyError, match="550 no mail from you") as refused,
    ):
        _mail(server).send(digest(), world())
    assert not refused.value.is_transient


def test_a_recipient_that_is_refused_is_named_and_the_others_have_their_mail() -> None:
    with (
        mail_server(MailServer(answers={"rcpt TO:<bo@": ["550 who is bo"]})) as server,
        pytest.raises(NotifyError, match=r"1 of 2 recipients: bo@example\.org \(550 who is bo\)") as refused,
    ):
        _mail(server).send(digest(), world())
    assert refused.value.reason == "mail_partly_refused"
    assert server.recipients == [["ada@example.org"]]


def test_when_all_recipients_are_refused_each_is_named() -> None:
    with (
        mail_server(MailServer(answers={"rcpt TO": ["550 no", "550 nor you"]})) as server,
        pytest.raises(NotifyError, match=r"2 of 2 recipients: .*ada.*550 no.*bo.*550 nor you"),
    ):
        _mail(server).send(digest(), world())


def test_a_server_that_hangs_up_behind_the_message_is_not_sent_it_again() -> None:
    sleeps = Sleeps()
    with mail_server(MailServer(hangs_up_after_data=True)) as server:
        (result,) = send_to_all([Subscription(channel=_mail(server))], digest(), world(sleeps))
    assert (result.is_sent, result.attempt_count) == (False, 1)
    assert result.reason.endswith("it may have arrived")
    assert len(server.messages) == 1


def test_a_server_that_is_not_there_is_tried_a_few_times() -> None:
    with mail_server(MailServer()) as server:
        pass
    (result,) = send_to_all([Subscription(channel=_mail(server))], digest(), world())
    assert (result.is_sent, result.attempt_count) == (False, 4)
    assert f"127.0.0.1:{server.port} cannot be talked to" in result.reason
