"""Settings of the controller: by flag, environment, the project's file, the user's file, in that order."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

import platformdirs
import tomllib

from steelyard.crash_limit import DEFAULT_CRASH_LIMIT, require_crash_limit
from steelyard.errors import UsageError
from steelyard.listening import beside, parse_advertised, parse_listen, parse_secure_listen
from steelyard.state_limits import StateLimits, parse_state_limits, split_state_limits

PROJECT_FILE = "steelyard.toml"
DEFAULT_AGENT_LISTEN = "127.0.0.1:7433"

_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})

# sun_path holds 104 bytes on macOS and 108 on Linux, with a final zero (unix(4), unix(7)).
_MAX_SOCKET_PATH_BYTES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the controller and its commands are told from outside; ``origin`` says by whom, setting by setting."""

    state_directory: Path
    # Where agents dial in; port 0 (any free one) only when a program asks for it, never from a file or flag.
    agent_listen: str = DEFAULT_AGENT_LISTEN
    # Where devices and people with certificates dial in, "0.0.0.0:7443"; None: nowhere.
    secure_listen: str | None = None
    # Where devices and people without one enroll; None: the port after that of ``secure_listen``.
    enroll_listen: str | None = None
    # Hosts (or HOST:PORT) that devices are told to dial; none: the addresses of this machine.
    advertise: tuple[str, ...] = ()
    # "unix:PATH" or "HOST:PORT" of the controller to use; None: the one of the state directory.
    controller: str | None = None
    # Whether `local` may be measured when no device was named.
    local_allowed: bool = True
    # How long a job may stay in one state: "queued=12h,staging=10m".
    state_limits: StateLimits = field(default_factory=StateLimits)
    # After so many crashes in a row of its workers a model is quarantined on a device.
    crash_limit: int = DEFAULT_CRASH_LIMIT
    origin: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be listened on or reached."""
        if not self.state_directory.is_absolute():
            raise UsageError(
                "invalid_state_directory", f"state directory {str(self.state_directory)!r} is not absolute"
            )
        parse_listen(self.agent_listen, any_port=True)
        if self.enroll_listen is not None and self.secure_listen is None:
            raise UsageError(
                "invalid_listen",
                f"enroll_listen {self.enroll_listen!r} leads nowhere without secure_listen; set secure_listen, too",
            )
        if self.secure_listen is not None:
            parse_secure_listen(self.secure_listen, any_port=True)
            parse_secure_listen(self.enrollment_listen or "", any_port=True)
        if self.controller is not None:
            _check_controller(self.controller)
        require_crash_limit(self.crash_limit)
        object.__setattr__(self, "origin", MappingProxyType(dict(self.origin)))

    @property
    def enrollment_listen(self) -> str | None:
        """Where the enrollment port listens, None where there is none."""
        if self.secure_listen is None or self.enroll_listen is not None:
            return self.enroll_listen
        return beside(self.secure_listen)


def load_settings(
    flags: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user_file: Path | None = None,
) -> Settings:
    """Find every setting where it is said first.

    Args:
        flags: By setting name; None for a flag that was not given.
        environ: ``STEELYARD_STATE_DIRECTORY`` and so on, and ``CI``; None for this process's own.
        cwd: Where the search for ``steelyard.toml`` begins, upward; None for this process's own.
        user_file: None for ``config.toml`` in the user's configuration folder.

    Raises:
        UsageError: A file that cannot be read, an unknown key or a value that makes no sense; the sentence says where.
    """
    environ = os.environ if environ is None else environ
    cwd = Path.cwd() if cwd is None else cwd
    user_file = Path(platformdirs.user_config_dir("steelyard")) / "config.toml" if user_file is None else user_file
    project_file = _find_project_file(cwd)
    sources = [_from_flags(flags, cwd), _from_environment(environ, cwd)]
    sources += [_from_file(file) for file in (project_file, user_file) if file is not None]
    said = {name: first for name in _PARSERS if (first := _first_said(name, sources)) is not None}
    if _is_set(environ.get("CI", "")) and not (said.get("local_allowed") or _NOBODY).here:
        # A gate must not measure its own runner by accident; a file in the repository does not know where it is run.
        said["local_allowed"] = _Said(value=False, origin="environment CI", folder=cwd)
    values = {name: _parsed(name, first) for name, first in said.items()}
    values.setdefault("state_directory", Path(platformdirs.user_state_dir("steelyard")))
    origin = {name: said[name].origin if name in said else "default" for name in _PARSERS}
    return Settings(**values, origin=origin)


def control_socket_path(state_directory: Path) -> Path:
    """Return where the control socket of a state directory lies: in it, or in a short folder when its path is too long.

    The short one is in a folder (0700, made when missing) under the system's temporary folder. That depends on TMPDIR,
    so a client takes the path from the lock's holder, and this function is for the controller.

    Raises:
        UsageError: ``socket_folder_unsafe`` when the short folder belongs to somebody else, ``socket_path_too_long``.
    """
    plain = state_directory / "control.sock"
    if _fits_socket(plain):
        return plain
    folder_name = f"steelyard-{hashlib.sha256(os.fsencode(state_directory.resolve())).hexdigest()[:16]}"
    for temporary in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - the folder in it is checked
        short = temporary / folder_name / "control.sock"
        if _fits_socket(short):
            _make_private(short.parent)
            return short
    raise UsageError(
        "socket_path_too_long", f"a socket in {state_directory} has too long a path; name a shorter state directory"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    value: object
    # "flag --listen", "environment STEELYARD_AGENT_LISTEN", or a file's path.
    origin: str
    # What a relative path is relative to.
    folder: Path
    # Said for this run (flag, environment), not in a file.
    here: bool = False


_NOBODY = _Said(value=None, origin="default", folder=Path())


# Where a flag is not called like its setting.
_FLAGS = {"agent_listen": "listen"}


def _from_flags(flags: Mapping[str, object], cwd: Path) -> dict[str, _Said]:
    _refuse_unknown(flags, "the flags")
    return {
        name: _Said(value=value, origin=f"flag --{_FLAGS.get(name, name.replace('_', '-'))}", folder=cwd, here=True)
        for name, value in flags.items()
        if value is not None
    }


def _from_environment(environ: Mapping[str, str], cwd: Path) -> dict[str, _Said]:
    # The agent has variables of the same prefix, so an unknown one is not ours to refuse.
    variables = {name: f"STEELYARD_{name.upper()}" for name in _PARSERS}
    return {
        name: _Said(value=environ[variable], origin=f"environment {variable}", folder=cwd, here=True)
        for name, variable in variables.items()
        if environ.get(variable)
    }


def _from_file(file: Path) -> dict[str, _Said]:
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError("invalid_file", f"{file} cannot be read ({error.strerror}); make it readable") from error
    except ValueError as error:
        raise UsageError("invalid_file", f"{file} is not TOML: {error}") from error
    _refuse_unknown(table, str(file))
    return {name: _Said(value=value, origin=str(file), folder=file.parent) for name, value in table.items()}


def _find_project_file(cwd: Path) -> Path | None:
    candidates = (folder / PROJECT_FILE for folder in (cwd, *cwd.parents))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _refuse_unknown(names: Iterable[str], where: str) -> None:
    for name in names:
        if name not in _PARSERS:
            near = get_close_matches(name, _PARSERS, n=1, cutoff=0.0)[0]
            raise UsageError("unknown_setting", f"{where}: there is no setting {name!r}; the nearest is {near!r}")


def _first_said(name: str, sources: Iterable[Mapping[str, _Said]]) -> _Said | None:
    return next((source[name] for source in sources if name in source), None)


def _parsed(name: str, said: _Said) -> Any:
    try:
        return _PARSERS[name](said)
    except UsageError as error:
        raise UsageError(error.reason, f"{name} from {said.origin}: {error}") from error


def _text(said: _Said) -> str:
    if not isinstance(said.value, str) or not said.value or "\0" in said.value:
        raise UsageError("invalid_setting", f"{said.value!r} must be a text; put it in quotes")
    return said.value


def _state_directory(said: _Said) -> Path:
    text = str(said.value) if isinstance(said.value, Path) else _text(said)
    try:
        return said.folder.absolute() / Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(
            "invalid_setting", f"{text!r} names no home folder that is known; write the whole path"
        ) from error


def _agent_listen(said: _Said) -> str:
    host, port = parse_listen(_text(said))
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _secure_listen(said: _Said) -> str:
    host, port = parse_secure_listen(_text(said))
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _advertise(said: _Said) -> tuple[str, ...]:
    listed = said.value if isinstance(said.value, (list, tuple)) else _text(said).split(",")
    return parse_advertised([str(one).strip() for one in listed])


def _controller(said: _Said) -> str:
    text = _text(said)
    _check_controller(text)
    return text


def _local_allowed(said: _Said) -> bool:
    if isinstance(said.value, bool):
        return said.value
    text = said.value.lower() if said.here and isinstance(said.value, str) else None
    if text not in _TRUE | _FALSE:
        raise UsageError("invalid_setting", f"{said.value!r} is neither true nor false")
    return text in _TRUE


def _state_limits(said: _Said) -> StateLimits:
    return parse_state_limits(split_state_limits(_text(said)))


def _crash_limit(said: _Said) -> int:
    text = str(said.value)
    if re.fullmatch(r"[0-9]{1,9}", text) is None:
        raise UsageError("invalid_setting", f"{said.value!r} is no whole number; write 3, say")
    return require_crash_limit(int(text))


_PARSERS: Mapping[str, Callable[[_Said], object]] = {
    "state_directory": _state_directory,
    "agent_listen": _agent_listen,
    "secure_listen": _secure_listen,
    "enroll_listen": _secure_listen,
    "advertise": _advertise,
    "controller": _controller,
    "local_allowed": _local_allowed,
    "state_limits": _state_limits,
    "crash_limit": _crash_limit,
}


def _is_set(text: str) -> bool:
    return text.lower() not in _FALSE


def _check_controller(text: str) -> None:
    if re.fullmatch(r"unix:/.+|(\[[^\]]+\]|[^:\[\]/\s]+):[0-9]{1,5}", text) is None:
        raise UsageError("invalid_controller", f"controller {text!r} is neither unix:/PATH nor HOST:PORT")


def _fits_socket(path: Path) -> bool:
    return len(os.fsencode(path)) <= _MAX_SOCKET_PATH_BYTES


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise UsageError(
            "socket_folder_unsafe",
            f"{folder} should hold the control socket, but is open to others; remove it, or name a shorter state "
            "directory",
        )
