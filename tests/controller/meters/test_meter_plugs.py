"""Shelly and Tasmota over real HTTP on loopback."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard import web_request
from steelyard.errors import UsageError
from steelyard.meters import http, shelly, tasmota
from steelyard.meters.contract import MeterError, MeterUrl, Scope
from steelyard.meters.digest import answer_challenge
from steelyard.meters.registry import make_meter
from tests.controller.meters.plugs import SHELLY_STATUS, TASMOTA_STATUS, LockedShelly, plug

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["apower", "aenergy", "total", "StatusSNS", "ENERGY", "Power", "Total", "x"]), inner
        )
    ),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def _no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(http.PASSWORD_VARIABLE, raising=False)


def test_a_shelly_plug_tells_power_and_counted_energy() -> None:
    with plug(SHELLY_STATUS) as address:
        meter = make_meter(f"shelly:{address}")
        facts = meter.open()
        before = time.monotonic_ns()
        (sample,) = meter.read()
        assert before <= sample.time_ns <= time.monotonic_ns()
        meter.close()
    assert (sample.power_w, sample.energy_j) == (8.9, pytest.approx(6.532 * 3600))
    assert facts.scope is Scope.WALL
    assert facts.description == f"Shelly switch 0 at {address}"
    assert (facts.power_resolution_w, facts.energy_resolution_j) == (0.1, 3.6)


def test_another_channel_of_a_shelly_is_asked_by_its_component() -> None:
    asked: list[str] = []

    def answer(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        return 200, {}, b'{"id": 2, "apower": 1.5}'

    with plug(answer) as address:
        facts = make_meter(f"shelly:{address}?switch=2").open()
        make_meter(f"shelly:{address}/?pm1=0").open()
    assert asked == ["/rpc/Switch.GetStatus?id=2", "/rpc/PM1.GetStatus?id=0"]
    assert facts.energy_resolution_j is None


def test_a_locked_shelly_opens_with_the_password_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    locked = LockedShelly("secret")
    with plug(locked) as address:
        with pytest.raises(MeterError, match="wants a password: set STEELYARD_METER_PASSWORD"):
            make_meter(f"shelly:{address}").open()
        monkeypatch.setenv(http.PASSWORD_VARIABLE, "wrong")
        with pytest.raises(MeterError, match="wants a password"):
            make_meter(f"shelly:{address}").open()
        monkeypatch.setenv(http.PASSWORD_VARIABLE, "secret")
        (sample,) = make_meter(f"shelly:{address}").read()
    assert sample.power_w == 8.9
    assert all("secret" not in path for path in locked.paths)


def test_the_example_of_the_digest_standard_is_answered_as_it_says() -> None:
    # RFC 7616, section 3.9.1.
    challenge = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    header = answer_challenge(
        challenge,
        user="Mufasa",
        password="Circle of Life",
        path="/dir/index.html",
        client_nonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert header is not None
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in header
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in header


@pytest.mark.parametrize(
    "challenge", ["", "Basic realm=x", 'Digest realm="r", nonce="n", qop="auth", algorithm=X', 'Digest qop="auth"']
)
def test_a_challenge_that_is_not_understood_gets_no_answer(challenge: str) -> None:
    assert answer_challenge(challenge, user="a", password="b", path="/") is None


def test_a_login_of_another_kind_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(http.PASSWORD_VARIABLE, "secret")
    with (
        plug(lambda _path, _headers: (401, {"WWW-Authenticate": "Basic realm=x"}, b"")) as address,
        pytest.raises(MeterError, match="asks for a login that is not known"),
    ):
        make_meter(f"shelly:{address}").open()


def test_a_tasmota_plug_tells_power_and_counted_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        import json

        asked.append(path)
        return 200, {}, json.dumps(TASMOTA_STATUS).encode()

    with plug(answer) as address:
        meter = make_meter(f"tasmota:{address}")
        facts = meter.open()
        monkeypatch.setenv(http.PASSWORD_VARIABLE, "a b&c")
        (sample,) = meter.read()
        meter.close()
    assert (sample.power_w, sample.energy_j) == (5.0, pytest.approx(3.705 * 3.6e6))
    assert (facts.scope, facts.description) == (Scope.WALL, f"Tasmota plug at {address}")
    assert asked == ["/cm?cmnd=Status%208", "/cm?user=admin&password=a%20b%26c&cmnd=Status%208"]


def test_a_plug_of_two_channels_must_be_told_which() -> None:
    status = {"StatusSNS": {"ENERGY": {"Total": 1.0, "Power": [3, 4]}}}
    with plug(status) as address:
        for query in ("", "?channel=2"):
            with pytest.raises(MeterError, match=r"2 channels .* \?channel=0"):
                make_meter(f"tasmota:{address}{query}").open()
        meter = make_meter(f"tasmota:{address}?channel=1")
        facts = meter.open()
        assert facts.description.endswith("channel 1")
        # Its counter counts both channels together.
        assert facts.energy_resolution_j is None
        assert [(one.power_w, one.energy_j) for one in meter.read()] == [(4.0, None)]


def test_a_plug_that_counts_its_channels_apart_has_a_counter_for_each() -> None:
    # With SetOption129 on.
    status = {"StatusSNS": {"ENERGY": {"Total": [1.5, 2.5], "Power": [3, 4], "Current": [0.1, 0.2]}}}
    with plug(status) as address:
        meter = make_meter(f"tasmota:{address}?channel=1")
        assert meter.open().energy_resolution_j == 3600.0
        assert [(one.power_w, one.energy_j) for one in meter.read()] == [(4.0, 2.5 * 3.6e6)]


def test_a_channel_of_a_plug_that_has_one_is_the_first_or_refused() -> None:
    with plug(TASMOTA_STATUS) as address:
        assert make_meter(f"tasmota:{address}?channel=0").read()[0].energy_j == pytest.approx(3.705 * 3.6e6)
        with pytest.raises(MeterError, match=r"one channel \(Power 5\): leave \?channel=1 off"):
            make_meter(f"tasmota:{address}?channel=1").open()


@pytest.mark.parametrize(
    ("kind", "body", "part"),
    [
        ("shelly", b"<html>a router</html>", "no JSON"),
        ("shelly", b'{"id":0,"output":true}', r"no power \(apower\)"),
        ("shelly", b'{"apower":true}', "no power"),
        ("shelly", b'{"apower":1e9}', "which no device here draws"),
        ("shelly", b'{"apower":NaN}', "which no device here draws"),
        ("shelly", b'{"apower":1,"aenergy":{"total":-5}}', "counter says"),
        ("shelly", b"[" * 5000, "no JSON"),
        ("shelly", b'{"apower":1' + b"0" * 400 + b"}", "which no device here draws"),
        ("tasmota", b'{"StatusSNS":{"ENERGY":{"Power":1' + b"0" * 400 + b"}}}", "which no device here draws"),
        ("tasmota", b"[]", "no StatusSNS.ENERGY"),
        ("tasmota", b'{"WARNING":"Need user=<username>&password=<password>"}', "Need user"),
        ("tasmota", b'{"StatusSNS":{"ENERGY":{"Power":"x"}}}', r"no power \(ENERGY.Power\)"),
    ],
)
def test_nonsense_is_said_with_what_came(kind: str, body: bytes, part: str) -> None:
    with (
        plug(lambda _path, _headers: (200, {}, body)) as address,
        pytest.raises(MeterError, match=part),
    ):
        make_meter(f"{kind}:{address}").open()


def test_an_error_status_a_refusal_and_silence_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        plug(lambda _path, _headers: (404, {}, b"")) as address,
        pytest.raises(MeterError, match="with status 404"),
    ):
        make_meter(f"shelly:{address}").open()
    with pytest.raises(MeterError, match=r"cannot be reached.*refused.*check its address"):
        make_meter(f"shelly:{address}").open()
    with _silent() as address, pytest.raises(MeterError, match=r"did not answer within 0\.05 s"):
        http.fetch_json(address, "/", timeout_s=0.05)
    with _silent(b"rubbish\r\n\r\n") as address, pytest.raises(MeterError, match="broke the connection off"):
        http.fetch_json(address, "/", timeout_s=2)


def _silent(greeting: bytes = b"") -> Any:
    from contextlib import contextmanager

    @contextmanager
    def serve() -> Iterator[str]:
        import threading

        with socket.create_server(("127.0.0.1", 0)) as server:
            held = []

            def accept() -> None:
                connection, _ = server.accept()
                connection.recv(1)
                connection.sendall(greeting)
                held.append(connection)

            thread = threading.Thread(target=accept)
            thread.start()
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
            thread.join()
            for connection in held:
                connection.close()

    return serve()


def test_a_plug_that_sends_a_byte_now_and_then_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr(web_request, "ANSWER_TIMEOUTS", 0.1)
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                while not done.wait(0.01):
                    try:
                        connection.sendall(b"H")
                    except OSError:  # noqa: PERF203 (it ends the loop)
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(MeterError, match=r"did not answer within 0\.5 s"):
                http.fetch_json(f"http://127.0.0.1:{server.getsockname()[1]}", "/", timeout_s=5)
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize("target", ["/again", "http://[bad", "file:///etc/passwd", "http://" + "a" * 70])
def test_a_redirection_is_not_followed(target: str) -> None:
    with (
        plug(lambda _path, _headers: (302, {"Location": target}, b"")) as address,
        pytest.raises(MeterError, match="with status 302"),
    ):
        make_meter(f"shelly:{address}").open()


def test_no_error_repeats_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(http.PASSWORD_VARIABLE, "hunter2")
    with (
        plug(lambda _path, _headers: (500, {}, b"")) as address,
        pytest.raises(MeterError, match="answered /cm with status 500") as caught,
    ):
        make_meter(f"tasmota:{address}").open()
    assert "hunter2" not in str(caught.value)


def test_a_host_that_cannot_be_named_cannot_be_reached() -> None:
    with pytest.raises(MeterError, match="cannot be reached"):
        make_meter("shelly:http://" + "a" * 70).open()


@pytest.mark.parametrize(
    "text",
    [
        "shelly:192.168.1.20",
        "shelly:ftp://192.168.1.20",
        "shelly:http://",
        "shelly:http://h:99999",
        "shelly:http://h/rpc",
        "shelly:http://h?switch=x",
        "shelly:http://h?switch=1&pm1=0",
        "tasmota:http://h?channel=-1",
        "tasmota:http://h?switch=1",
    ],
)
def test_an_address_that_makes_no_sense_is_refused_before_anything_runs(text: str) -> None:
    with pytest.raises(UsageError, match="meter"):
        make_meter(text)


def test_a_password_in_a_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(UsageError, match="STEELYARD_METER_PASSWORD") as caught:
        make_meter("shelly:http://admin:hunter2@192.168.1.20")
    assert "hunter2" not in str(caught.value)


@given(JSON)
def test_whatever_a_plug_sends_is_a_sample_or_a_meter_error(status: object) -> None:
    for read in (shelly.sample_of, tasmota.sample_of, partial(tasmota.sample_of, channel=1)):
        try:
            sample = read(status, 1)
        except MeterError:
            continue
        assert sample.power_w is not None


def test_a_url_keeps_what_follows_its_first_colon() -> None:
    url = MeterUrl.parse("shelly:http://h:80?switch=1")
    assert (url.scheme, url.address) == ("shelly", "http://h:80?switch=1")
