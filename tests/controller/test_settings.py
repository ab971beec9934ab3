from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import UsageError
from steelyard.settings import Settings, control_socket_path, load_settings, parse_listen

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load settings in a folder of its own, with nothing in the environment."""
    (tmp_path / "project" / "deep").mkdir(parents=True)

    def load_here(environ: dict[str, str] | None = None, **flags: object) -> Settings:
        return load_settings(flags, environ or {}, tmp_path / "project" / "deep", tmp_path / "user" / "config.toml")

    return load_here


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_nothing_said_gives_the_defaults(load: Load) -> None:
    settings = load()
    assert settings.agent_listen == "127.0.0.1:7433"
    assert settings.controller is None
    assert settings.local_allowed
    assert settings.state_directory.name == "steelyard"
    assert set(settings.origin.values()) == {"default"}


def test_each_source_wins_over_those_behind_it(load: Load, tmp_path: Path) -> None:
    project, user = tmp_path / "project" / "steelyard.toml", tmp_path / "user" / "config.toml"
    write(user, 'agent_listen = "127.0.0.1:1001"')
    assert load().agent_listen == "127.0.0.1:1001"
    assert load().origin["agent_listen"] == str(user)
    write(project, 'agent_listen = "127.0.0.1:1002"')
    assert load().agent_listen == "127.0.0.1:1002"
    assert load().origin["agent_listen"] == str(project)
    environ = {"STEELYARD_AGENT_LISTEN": "127.0.0.1:1003"}
    assert load(environ).agent_listen == "127.0.0.1:1003"
    assert load(environ).origin["agent_listen"] == "environment STEELYARD_AGENT_LISTEN"
    settings = load(environ, agent_listen="127.0.0.1:1004", controller=None)
    assert settings.agent_listen == "127.0.0.1:1004"
    assert settings.origin["agent_listen"] == "flag --listen"
    assert settings.origin["controller"] == "default"


def test_the_nearest_project_file_is_taken_alone(load: Load, tmp_path: Path) -> None:
    write(tmp_path / "steelyard.toml", 'controller = "unix:/far.sock"')
    write(tmp_path / "project" / "steelyard.toml", 'agent_listen = "localhost:1002"')
    settings = load()
    assert settings.agent_listen == "127.0.0.1:1002"
    assert settings.controller is None


def test_the_process_is_asked_when_nothing_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEELYARD_STATE_DIRECTORY", "state")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert load_settings({}).state_directory == Path.cwd() / "state"


def test_a_relative_state_directory_is_relative_to_where_it_was_said(load: Load, tmp_path: Path) -> None:
    write(tmp_path / "project" / "steelyard.toml", 'state_directory = "state"')
    assert load().state_directory == tmp_path / "project" / "state"
    assert load({"STEELYARD_STATE_DIRECTORY": "s"}).state_directory == tmp_path / "project" / "deep" / "s"
    assert load(state_directory=Path("/absolute")).state_directory == Path("/absolute")
    assert load(state_directory="~/s").state_directory == Path.home() / "s"


def test_an_unknown_key_is_refused_with_the_nearest_and_the_file(load: Load, tmp_path: Path) -> None:
    file = tmp_path / "project" / "steelyard.toml"
    write(file, 'agent_lisen = "127.0.0.1:1002"')
    with pytest.raises(UsageError, match=f"{file}: there is no setting 'agent_lisen'; the nearest is 'agent_listen'"):
        load()


def test_an_unknown_flag_is_refused(load: Load) -> None:
    with pytest.raises(UsageError, match="the flags: there is no setting 'zzz'"):
        load(zzz=1)


@pytest.mark.parametrize("content", [b"agent_listen = ", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_named(load: Load, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "user" / "config.toml"
    write(file, "")
    file.write_bytes(content)
    with pytest.raises(UsageError, match=f"{file} is not TOML"):
        load()


def test_a_file_that_cannot_be_read_is_named(load: Load, tmp_path: Path) -> None:
    (tmp_path / "user" / "config.toml").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"config\.toml cannot be read"):
        load()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("agent_listen = 7433", "agent_listen from .*steelyard.toml: 7433 must be a text"),
        ('state_directory = ""', "state_directory from .*'' must be a text"),
        ('state_directory = "~nobody-has-this-name/x"', "names no home folder"),
        ('local_allowed = "yes"', "'yes' is neither true nor false"),
        ('controller = "pi5"', "'pi5' is neither unix:/PATH nor HOST:PORT"),
        ('controller = "unix:relative.sock"', "neither unix:/PATH nor HOST:PORT"),
        ('agent_listen = "0.0.0.0:7433"', "agent_listen from .*steelyard.toml: this port asks nobody who it is"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_where_it_was_said(
    load: Load, tmp_path: Path, line: str, complaint: str
) -> None:
    write(tmp_path / "project" / "steelyard.toml", line)
    with pytest.raises(UsageError, match=complaint):
        load()


@pytest.mark.parametrize("controller", ["unix:/run/steelyard/control.sock", "server:7434", "[::1]:7434"])
def test_a_controller_is_a_socket_or_an_address(load: Load, controller: str) -> None:
    assert load(controller=controller).controller == controller


@pytest.mark.parametrize(
    ("environ", "flags", "allowed", "origin"),
    [
        ({}, {}, True, "default"),
        ({"CI": "true"}, {}, False, "environment CI"),
        ({"CI": "1"}, {"local_allowed": True}, True, "flag --local-allowed"),
        ({"CI": "1", "STEELYARD_LOCAL_ALLOWED": "Yes"}, {}, True, "environment STEELYARD_LOCAL_ALLOWED"),
        ({"CI": "false"}, {}, True, "default"),
        ({"CI": ""}, {}, True, "default"),
        ({"STEELYARD_LOCAL_ALLOWED": "0"}, {}, False, "environment STEELYARD_LOCAL_ALLOWED"),
    ],
)
def test_a_gate_never_measures_its_own_runner_by_accident(
    load: Load, environ: dict[str, str], flags: dict[str, object], allowed: bool, origin: str
) -> None:
    settings = load(environ, **flags)
    assert (settings.local_allowed, settings.origin["local_allowed"]) == (allowed, origin)


def test_a_file_in_the_repository_does_not_allow_it_in_ci(load: Load, tmp_path: Path) -> None:
    write(tmp_path / "project" / "steelyard.toml", "local_allowed = true")
    assert load().local_allowed
    assert not load({"CI": "true"}).local_allowed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:7433", ("127.0.0.1", 7433)),
        ("127.1.2.3:1", ("127.1.2.3", 1)),
        ("localhost:65535", ("127.0.0.1", 65535)),
        ("[::1]:7433", ("::1", 7433)),
    ],
)
def test_loopback_is_listened_on(text: str, parsed: tuple[str, int], load: Load) -> None:
    assert parse_listen(text) == parsed
    assert parse_listen(load(agent_listen=text).agent_listen) == parsed


@pytest.mark.parametrize("text", ["0.0.0.0:7433", "192.168.1.5:7433", "[::]:7433", "pi5:7433", "example.org:7433"])
def test_anything_else_is_refused_with_the_way_to_reach_a_device(text: str) -> None:
    with pytest.raises(UsageError, match=r"`steelyard serve --secure-listen 0\.0\.0\.0:7443`") as caught:
        parse_listen(text)
    assert caught.value.reason == "listen_not_loopback"


@pytest.mark.parametrize("text", ["", "7433", ":7433", "127.0.0.1", "127.0.0.1:", "::1:7433", "127.0.0.1:x", "a:1\n"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no address to listen on"):
        parse_listen(text)


@pytest.mark.parametrize("port", [0, 65536, 99999])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(UsageError, match=f"port {port} of"):
        parse_listen(f"127.0.0.1:{port}")


def test_only_a_program_may_ask_for_any_free_port(tmp_path: Path, load: Load) -> None:
    assert parse_listen("127.0.0.1:0", any_port=True) == ("127.0.0.1", 0)
    assert Settings(state_directory=tmp_path, agent_listen="127.0.0.1:0").agent_listen == "127.0.0.1:0"
    with pytest.raises(UsageError, match="port 0"):
        load(agent_listen="127.0.0.1:0")


@given(address=st.ip_addresses(), port=st.integers(1, 65_535))
def test_of_all_addresses_only_loopback_is_listened_on(address: IPv4Address | IPv6Address, port: int) -> None:
    text = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    if address.is_loopback:
        assert parse_listen(text) == (str(address), port)
    else:
        with pytest.raises(UsageError, match="this port asks nobody who it is"):
            parse_listen(text)


@given(text=st.text(max_size=40))
def test_whatever_else_is_typed_as_an_address_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"listen|port"):
        parse_listen(text)


def test_settings_refuse_a_relative_state_directory_and_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'state' is not absolute"):
        Settings(state_directory=Path("state"))
    with pytest.raises(UsageError, match="neither unix"):
        Settings(state_directory=tmp_path, controller="x")
    with pytest.raises(TypeError):
        Settings(state_directory=tmp_path).origin["agent_listen"] = "me"  # type: ignore[index]


def test_the_control_socket_lies_in_the_state_directory() -> None:
    assert control_socket_path(Path("/home/me/state")) == Path("/home/me/state/control.sock")


def test_a_long_state_directory_has_its_socket_in_a_short_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    long = tmp_path / ("x" * 100)
    path = control_socket_path(long)
    assert path == control_socket_path(long)
    assert path != control_socket_path(tmp_path / ("y" * 100))
    assert len(str(path)) <= 100
    assert path.parent.stat().st_mode & 0o077 == 0
    path.parent.chmod(0o777)
    with pytest.raises(UsageError, match="is open to others"):
        control_socket_path(long)
    path.parent.rmdir()


def test_a_long_temporary_folder_is_not_used_for_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("t" * 100)))
    path = control_socket_path(tmp_path / ("x" * 100))
    assert path.parent.parent == Path("/tmp")
    path.parent.rmdir()


def test_a_path_that_fits_nowhere_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steelyard.settings._MAX_SOCKET_PATH_BYTES", 10)
    with pytest.raises(UsageError, match="name a shorter state directory"):
        control_socket_path(tmp_path)


def test_the_port_with_certificates_is_off_until_somebody_says_where_and_enrollment_is_beside_it(load: Load) -> None:
    assert (load().secure_listen, load().enrollment_listen) == (None, None)
    assert load(secure_listen="0.0.0.0:7443").enrollment_listen == "0.0.0.0:7444"
    assert load(secure_listen="[::]:7443").enrollment_listen == "[::]:7444"
    chosen = load(secure_listen="192.168.1.5:443", enroll_listen="192.168.1.5:80")
    assert (chosen.secure_listen, chosen.enrollment_listen) == ("192.168.1.5:443", "192.168.1.5:80")


@pytest.mark.parametrize("text", ["pi5:7443", "7443", "0.0.0.0:0", "0.0.0.0:65535", "[::1:7443"])
def test_a_port_with_certificates_that_cannot_be_is_refused(text: str, load: Load) -> None:
    with pytest.raises(UsageError) as caught:
        load(secure_listen=text)
    assert caught.value.reason == "invalid_listen"


def test_an_enrollment_port_alone_leads_nowhere(load: Load) -> None:
    with pytest.raises(UsageError, match="set secure_listen, too"):
        load(enroll_listen="0.0.0.0:7444")


def test_addresses_to_dial_are_a_list_or_words_with_commas(load: Load) -> None:
    assert load(advertise="lab.example.org, 10.0.0.7:443").advertise == ("lab.example.org", "10.0.0.7:443")
    assert load(advertise=("lab.example.org",)).advertise == ("lab.example.org",)
    for text in ("http://lab", "a b", ",", "lab:port"):
        with pytest.raises(UsageError) as caught:
            load(advertise=text)
        assert caught.value.reason == "invalid_address"


def test_a_crash_limit_is_a_number_that_ever_comes(load: Load) -> None:
    assert load().crash_limit == 3
    assert load(crash_limit="5").crash_limit == 5
    for text, reason in (("0", "invalid_crash_limit"), ("1001", "invalid_crash_limit"), ("-1", "invalid_setting")):
        with pytest.raises(UsageError) as caught:
            load(crash_limit=text)
        assert caught.value.reason == reason
