"""The commands that invite, log in, remove and change the authority, against a controller with its ports."""

from __future__ import annotations

import asyncio
import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.control.login import log_in, renewed
from steelyard.control.logins import Logins
from steelyard.errors import SteelyardError
from steelyard.identity.errors import IdentityError, JoinCodeError
from steelyard.identity.join_code import CodeKind, JoinCode, decode_join_code, encode_join_code
from steelyard.settings import Settings
from tests.controller.cli.running import Ran, run_command
from tests.loopback.identity.conftest import here
from tests.support.certificate_holder import enroll
from tests.support.models import linear_model

PASSPHRASE = "correct horse battery"


def code_of(ran: Ran) -> str:
    assert ran.code == 0, ran.err
    return ran.out.split()[-1]


def test_a_device_is_invited_shown_suspended_resumed_and_removed(state: Path, client: Client) -> None:
    ran = here(state, "device", "invite", "--uses", "2", "--tag", "rack1", "--json")
    invitation = ran.document["invitation"]
    assert ran.document["command"] == f"steelyard-agent enroll {invitation['code']}"
    assert (invitation["use_count"], len(invitation["addresses"])) == (2, 1)
    asyncio.run(enroll(invitation["code"], name="shelf"))
    (device,) = here(state, "device", "list", "--json").document["devices"]
    assert (device["description"]["name"], device["standing"], device["tags"]) == ("shelf", "enrolled", ["rack1"])
    assert here(state, "device", "suspend", "shelf", "--json").document["device"]["standing"] == "suspended"
    model = str(linear_model(state.parent / "m.onnx"))
    waiting = here(state, "measure", model, "--device", "shelf", "--device-wait", "1s")
    assert "it is suspended, and `steelyard device resume shelf` lets it in" in waiting.is_refused(4)
    assert "may connect and takes work again" in here(state, "device", "resume", "shelf").err
    assert "is removed" in here(state, "device", "remove", "shelf").err
    assert here(state, "device", "list", "--json").document["devices"] == []
    assert "was removed" in here(state, "device", "resume", "shelf").is_refused()
    # Its name is free again, for the board that takes its place.
    assert asyncio.run(enroll(invitation["code"], name="shelf")).name == "shelf"
    assert here(state, "device", "show", "shelf", "--json").document["device"]["standing"] == "enrolled"


def test_the_code_is_also_drawn_for_a_camera(state: Path, client: Client) -> None:
    ran = here(state, "device", "invite", "--qr")
    *drawn, line = ran.out.splitlines()
    assert len({len(row) for row in drawn}) == 1
    assert set("".join(drawn)) <= set(" █▄▀")
    assert len(drawn) == (len(drawn[0]) + 1) // 2
    assert line.startswith("steelyard-agent enroll sy1-")
    assert "good once" in ran.err


def test_a_person_logs_in_and_uses_the_controller_over_the_network_as_the_role_allows(
    state: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = client.identity.authorities().addresses[0]
    invited = here(state, "user", "invite", "ada", "--role", "run", "--json").document
    assert (invited["user"]["name"], invited["user"]["role"]) == ("ada", "RUN")
    # A code that is typed as an argument is everybody's to read in the list of processes.
    monkeypatch.setattr("sys.stdin", io.StringIO(invited["invitation"]["code"] + "\n"))
    logged_in = run_command("login", "-", "--json").document["login"]
    assert (logged_in["user"], logged_in["addresses"]) == ("ada", [address])
    over_network = ("--controller", address)
    assert run_command(*over_network, "device", "list", "--json").document["devices"] == []
    assert "'administer'" in run_command(*over_network, "device", "invite").is_refused()
    users = here(state, "user", "list", "--json").document["users"]
    assert [(one["name"], one["role"]) for one in users] == [("ada", "RUN")]
    assert "ada" in here(state, "user", "list").out
    # The role is the controller's to change, with the certificate as it is.
    here(state, "user", "invite", "ada", "--role", "administer")
    assert code_of(run_command(*over_network, "device", "invite")).startswith("sy1-")
    assert "may not use" in here(state, "user", "remove", "ada").err
    assert "revoked" in run_command(*over_network, "device", "list").is_refused()
    assert "no person is called" in here(state, "user", "remove", "ada").is_refused()
    assert "nobody yet" in here(state, "user", "list").out


def test_a_login_is_renewed_when_it_is_used_late_in_its_life(state: Path, client: Client) -> None:
    code = code_of(here(state, "user", "invite", "ada", "--role", "read"))
    login = log_in(code)
    late = replace(login, renew_after_s=1)
    Logins().save(late)
    with connect(login.addresses[0]) as connected:
        connected.devices()
    (kept,) = Logins().all()
    assert kept.certificate_pem != login.certificate_pem
    assert kept.key_pem == login.key_pem
    with connect(login.addresses[0]) as connected:
        assert renewed(kept, connected._channel) is None


def test_a_code_of_another_controller_is_not_told_its_secret(state: Path, client: Client) -> None:
    """Whoever answers at the code's address is not who made the code: the enrollment stays unused."""
    code = decode_join_code(code_of(here(state, "user", "invite", "ada", "--role", "read")))
    elsewhere = JoinCode(kind=CodeKind.PERSON, secret=code.secret, fingerprint=bytes(16), addresses=code.addresses)
    with pytest.raises(IdentityError) as caught:
        log_in(encode_join_code(elsewhere))
    assert caught.value.reason == "fingerprint_mismatch"
    # Had the secret been said, the code would be used up.
    assert log_in(encode_join_code(code)).user == "ada"


def test_a_code_that_leads_nowhere_or_to_a_device_says_so(state: Path, client: Client) -> None:
    code = decode_join_code(code_of(here(state, "device", "invite")))
    with pytest.raises(JoinCodeError) as refused:
        log_in(encode_join_code(code))
    assert refused.value.reason == "code_for_device"
    nowhere = JoinCode(kind=CodeKind.PERSON, secret=code.secret, fingerprint=bytes(16), addresses=("127.0.0.1:1",))
    with pytest.raises(SteelyardError, match=r"127\.0\.0\.1:1") as caught:
        log_in(encode_join_code(nowhere))
    assert caught.value.reason == "controller_unreachable"
    assert "copy it again" in run_command("login", "sy1-aaaa").is_refused()


def test_the_authority_is_shown_exported_changed_and_imported_elsewhere(
    state: Path, client: Client, tmp_path: Path
) -> None:
    shown = here(state, "ca", "show", "--json").document
    assert [one["signs_clients"] for one in shown["authorities"]] == [True]
    assert shown["controller_id"] in here(state, "ca", "show").out
    passphrase, archive = tmp_path / "passphrase", tmp_path / "authority.p12"
    passphrase.write_text(PASSPHRASE + "\n")
    words = ("ca", "export", str(archive), "--passphrase-file", str(passphrase))
    assert here(state, *words).code == 0
    assert archive.stat().st_mode & 0o077 == 0
    assert "--force" in here(state, *words).is_refused()
    openssl = ["openssl", "pkcs12", "-in", str(archive), "-noout", "-passin", f"pass:{PASSPHRASE}"]
    assert subprocess.run(openssl, capture_output=True, timeout=60).returncode == 0
    changed = here(state, "ca", "rotate", "--json").document["authorities"]
    assert [(one["signs_clients"], one["signs_controller"]) for one in changed] == [(True, False), (False, True)]
    assert "--finish" in here(state, "ca", "rotate").is_refused()
    (left,) = here(state, "ca", "rotate", "--finish", "--json").document["authorities"]
    assert left["fingerprint"] == changed[0]["fingerprint"]
    imported = ("ca", "import", str(archive), "--passphrase-file", str(passphrase))
    moved = here(tmp_path / "moved", *imported)
    assert (moved.code, shown["controller_id"][:8] in moved.err) == (0, True)
    assert "holds an authority already" in here(tmp_path / "moved", *imported).is_refused()
    passphrase.write_text("another passphrase")
    assert "not opened by this passphrase" in here(tmp_path / "new", *imported).is_refused()


def test_to_finish_a_change_at_once_says_how_many_are_locked_out(state: Path, client: Client) -> None:
    asyncio.run(enroll(code_of(here(state, "device", "invite"))))
    assert "count no more" not in here(state, "ca", "rotate").err
    finished = here(state, "ca", "rotate", "--finish")
    assert "1 certificates of the old authority count no more: invite" in finished.err


def test_a_controller_that_moved_is_the_same_to_whoever_was_enrolled(
    state: Path, client: Client, tmp_path: Path
) -> None:
    login = log_in(code_of(here(state, "user", "invite", "ada", "--role", "read")))
    holder = asyncio.run(enroll(code_of(here(state, "device", "invite"))))
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    given = ("--passphrase-file", str(tmp_path / "passphrase"))
    assert here(state, "ca", "export", str(tmp_path / "authority.p12"), *given).code == 0
    assert here(tmp_path / "moved", "ca", "import", str(tmp_path / "authority.p12"), *given).code == 0
    settings = Settings(state_directory=tmp_path / "moved", agent_listen="127.0.0.1:0", secure_listen="127.0.0.1:0")
    with connect(settings=settings) as moved:
        address = moved.identity.authorities().addresses[0]
        Logins().save(replace(login, addresses=(address,)))
        # The store is empty, so nobody has a role yet; the certificate itself is known.
        assert "may not use" in run_command("--controller", address, "device", "list").is_refused()

        async def session() -> None:
            from tests.support.certificate_holder import Session

            async with holder.channel(address) as channel:
                await Session(channel).open(holder.device_id, "board")

        asyncio.run(session())
        assert [(one.description.name, one.standing) for one in moved.devices()] == [("board", "enrolled")]


def test_without_the_ports_an_invitation_says_how_to_open_them(state: Path) -> None:
    with connect(settings=Settings(state_directory=state, agent_listen="127.0.0.1:0")) as client:
        assert client.controller().controller_id
        for words in (("device", "invite"), ("ca", "show"), ("user", "invite", "ada", "--role", "read")):
            assert "--secure-listen 0.0.0.0:7443" in here(state, *words).is_refused()
