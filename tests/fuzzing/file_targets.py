"""Every reader of a file or a text that comes from somebody else, each with what it may be given."""

from __future__ import annotations

import io
import itertools
import json
import tempfile
import wave
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import serialization
from hypothesis import strategies as st

from steelyard.analysis.record import parse_round
from steelyard.artifacts import read_artifact
from steelyard.backup.restore import read_manifest, restore_backup
from steelyard.backup.write import write_backup
from steelyard.bundle import verify_bundle
from steelyard.bundle.manifest import parse_manifest
from steelyard.compress.inline_text import parse_inline
from steelyard.compress.recipe_text import parse_recipe
from steelyard.control.round_check import refuse_nonsense
from steelyard.errors import SteelyardError
from steelyard.identity import archive, authority, folder_archive
from steelyard.identity.join_code import CodeKind, JoinCode, decode_join_code, encode_join_code
from steelyard.identity.requests import read_request
from steelyard.identity.shown import read_shown
from steelyard.identity.subjects import Subject
from steelyard.layers.read import read_layers
from steelyard.meters import shelly, tasmota
from steelyard.meters.registry import checked_url
from steelyard.settings import load_settings
from steelyard.stats.requirements import parse_requirement
from steelyard.store.store import Store
from steelyard.tasks.load import load_task
from steelyard.tasks.npz_source import read_arrays
from steelyard.tasks.packing import pack, unpack
from steelyard.tasks.sources.idx import read_idx
from steelyard.tasks.sources.rows import read_rows
from steelyard.tasks.sources.waves import read_wave
from steelyard.tasks.truth import unpack_truth
from steelyard_agent.enrollment.join_code import decode_join_code as decode_on_device
from steelyard_agent.enrollment.membership import MembershipFolder
from steelyard_agent.errors import AgentError
from steelyard_agent.policy.document import read_rules
from steelyard_agent.profiles import parse_profile
from steelyard_protocol.v1 import result_pb2
from tests.controller.bundle.planted import write as write_bundle
from tests.fuzzing.odd_values import ODD_TEXTS, by_chance, changed, damaged, messages, odd_json, to_toml
from tests.support.certificate_holder import make_key, request_pem
from tests.support.models import linear_model
from tests.support.tflite_models import tflite_linear_model

# A refusal: it names the value and the next step, and is caught where it becomes a sentence for people.
REFUSALS = (SteelyardError, AgentError)

_NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)
_CONTROLLER = "c0ffee" * 5 + "00"
_PASSPHRASE = "correct horse battery"

Feed = Callable[[Any, Path], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTarget:
    """A reader; ``feed`` gives it a value (and an empty folder) and lets every error but a refusal through."""

    name: str
    values: Callable[[], st.SearchStrategy[Any]]
    feed: Feed
    # Readers that say what is wrong by another class, as their docstring promises.
    refusals: tuple[type[Exception], ...] = REFUSALS


def _made(write: Callable[[Path], object], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


# -- models -------------------------------------------------------------------------------------------------------


@cache
def _models() -> tuple[bytes, ...]:
    onnx = _made(linear_model, "m.onnx")
    tflite = _made(tflite_linear_model, "m.tflite")
    return (onnx, tflite)


def _read_model(read: Callable[[Path], object], content: bytes, folder: Path) -> object:
    suffix = ".tflite" if content[4:8] == b"TFL3" else ".onnx"
    path = folder / f"model{suffix}"
    path.write_bytes(content)
    return read(path)


# -- texts --------------------------------------------------------------------------------------------------------

_RECIPE = {
    "name": "mine",
    "steps": [
        {"kind": "fold"},
        {"kind": "prune-weights", "fraction": 0.5},
        {"kind": "static-int8", "calibration_method": "minmax", "per_channel": True},
        {"kind": "float16", "keep_float": ["a*"]},
    ],
}
_TASK = {
    "name": "digits",
    "data": "digits.npz",
    "evaluation": {"inputs": "x", "labels": "y"},
    "metric": {"kind": "top1"},
    "preprocess": {"divide": 255.0, "mean": [0.5], "std": [0.5], "layout": "NCHW"},
}
_SOURCE_TASK = {
    "name": "rows",
    "source": {"kind": "table", "path": "rows.csv", "features": ["a", "b"], "label": "c", "seed": 1},
    "operations": [{"kind": "standardize"}],
    "metric": {"kind": "top1"},
    "fixed": {"sr": 16000},
}
_PROFILE = {
    "schema_version": 2,
    "name": "board",
    "title": "A board",
    "match": {"device_tree_compatibles": ["maker,board"], "soc_compatibles": ["maker,chip"]},
    "processor": {"cores": 4, "features": ["asimd"], "lacks": ["i8mm"], "source": "manual"},
    "facts": {"memory": {"value": "1 GB", "source": "data sheet"}},
    "power": {"kind": "ina3221", "scope": "module", "covers": "the module", "source": "guide"},
    "runtimes": [{"name": "onnxruntime", "when": "64-bit", "install": "pip install it", "source": "PyPI"}],
    "traps": [{"title": "heat", "detail": "it throttles", "source": "manual"}],
}
_POLICY = {
    "windows": ["mon-fri 20:00-06:00"],
    "idle_only": True,
    "charging_only": False,
    "unmetered_only": False,
    "minutes_per_day": 60,
}
_SETTINGS = {
    "agent_listen": "127.0.0.1:7433",
    "secure_listen": "0.0.0.0:7443",
    "enroll_listen": "0.0.0.0:7444",
    "advertise": ["lab.example.org"],
    "state_directory": "state",
    "local_allowed": True,
    "controller": "lab:7443",
}
_SHELLY = {"id": 0, "apower": 3.1, "voltage": 230.1, "aenergy": {"total": 12.5, "by_minute": [1, 2, 3]}}
_TASMOTA = {"StatusSNS": {"ENERGY": {"Power": [3, 4], "Total": [1.2, 0.3], "Voltage": 230}}}


def _tomls(*documents: dict[str, Any]) -> st.SearchStrategy[str]:
    whole = [to_toml(document).encode() for document in documents]
    broken = damaged(whole).map(lambda content: content.decode("utf-8", "replace"))
    return st.one_of(changed(*documents).map(to_toml), broken)


def _texts(*whole: str) -> st.SearchStrategy[str]:
    broken = damaged([one.encode() for one in whole]).map(lambda content: content.decode("utf-8", "replace"))
    return st.one_of(broken, st.sampled_from(ODD_TEXTS))


def _read_task(text: str, folder: Path) -> object:
    np.savez(folder / "digits.npz", x=np.zeros((4, 2, 2), np.uint8), y=np.arange(4))
    (folder / "rows.csv").write_text("a,b,c\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n")
    (folder / "task.toml").write_text(text, encoding="utf-8")
    return load_task(folder / "task.toml")


def _read_settings(text: str, folder: Path) -> object:
    (folder / "steelyard.toml").write_text(text, encoding="utf-8")
    return load_settings({}, environ={}, cwd=folder, user_file=folder / "none.toml")


def _read_policy(text: str, folder: Path) -> object:
    (folder / "policy.toml").write_text(text, encoding="utf-8")
    return read_rules(folder)


def _read_membership(text: str, folder: Path) -> object:
    (folder / "controller.json").write_text(text, encoding="utf-8")
    return MembershipFolder(folder).read()


# -- data ---------------------------------------------------------------------------------------------------------


@cache
def _npz() -> tuple[bytes, ...]:
    packed = pack("x", np.arange(12, dtype=np.float32).reshape(3, 4))
    stream = io.BytesIO()
    np.savez_compressed(stream, x=np.zeros((3, 4)), y=np.arange(3))
    return (packed, stream.getvalue())


@cache
def _idx() -> bytes:
    return b"\0\0\x08\x03" + b"\0\0\0\x02\0\0\0\x03\0\0\0\x02" + bytes(range(12))


@cache
def _wav() -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(400))
    return stream.getvalue()


def _read_file(name: str, read: Callable[[Path], object], content: bytes, folder: Path) -> object:
    (folder / name).write_bytes(content)
    return read(folder / name)


def _read_round(message: result_pb2.RoundResult, _folder: Path) -> None:
    refuse_nonsense(parse_round(message.SerializeToString(), "0" * 64))


# -- identities ---------------------------------------------------------------------------------------------------


@cache
def _authority() -> authority.SignedKey:
    return authority.make_authority(_CONTROLLER, _NOW)


@cache
def _certificates() -> tuple[bytes, ...]:
    key = make_key()
    subject = Subject(controller_id=_CONTROLLER, kind="device", name="0b6cf94a-3b35-4c36-9d1c-3a1b8f2c7f10")
    client = authority.sign_client(_authority(), subject, key.public_key(), not_after=_NOW + timedelta(days=1))
    return (
        authority.certificate_pem(client),
        client.public_bytes(serialization.Encoding.DER),
        _authority().certificate_pem,
        authority.make_controller_certificate(_authority(), _CONTROLLER, _NOW).certificate_pem,
    )


def _pem_of(der: bytes) -> bytes:
    """Return damaged DER in whole PEM, so that more than its armour is read."""
    if b"BEGIN" in der:
        return der
    import base64

    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n".encode()


@cache
def _join_codes() -> tuple[str, ...]:
    return tuple(
        encode_join_code(JoinCode(kind=kind, secret=bytes(16), fingerprint=bytes(16), addresses=("10.0.0.1:7444",)))
        for kind in CodeKind
    )


# -- archives -----------------------------------------------------------------------------------------------------


@cache
def _bundle() -> bytes:
    return _made(write_bundle, "bundle.zip")


def _rewritten_bundles() -> st.SearchStrategy[bytes]:
    """Return bundles whose zip is whole and whose members are damaged."""

    def make(random: Any) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(_bundle())) as source, zipfile.ZipFile(stream, "w") as target:
            names = source.namelist()
            victim = random.choice(names)
            for name in names:
                content = source.read(name)
                if name == victim and len(content) > 4:
                    at = random.randrange(len(content) - 4)
                    content = content[:at] + random.choice((b"9999", b"null", b"\0\0\0\0", b"}}}}")) + content[at + 4 :]
                target.writestr(name, content)
        return stream.getvalue()

    return by_chance(make)


@cache
def _backup() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        state = Path(name) / "state"
        state.mkdir()
        store = Store(state / "steelyard.sqlite3")
        store.controller_id("controller-1")
        store.close()
        write_backup(state, Path(name) / "copy.tar", _NOW)
        return (Path(name) / "copy.tar").read_bytes()


def _restore(content: bytes, folder: Path) -> None:
    (folder / "copy.tar").write_bytes(content)
    try:
        read_manifest(folder / "copy.tar")
        restore_backup(folder / "copy.tar", folder / "new")
    finally:
        left = {one.name for one in folder.iterdir()} - {"copy.tar", "new"}
        assert not left, f"a restore left {left} behind"


@cache
def _sealed() -> bytes:
    return folder_archive.seal_files({"authority.pem": b"key"}, _PASSPHRASE, scrypt_n=2)


@cache
def _exported() -> bytes:
    return archive.seal(_authority(), _PASSPHRASE, kdf_rounds=1)


def _of(read: Callable[[Any], object]) -> Feed:
    return lambda value, _folder: read(value)


def _jsons(*documents: Any) -> st.SearchStrategy[bytes]:
    whole = [json.dumps(one).encode() for one in documents]
    return st.one_of(changed(*documents).map(lambda one: json.dumps(one).encode()), damaged(whole))


_MEMBERSHIP = {
    "schema_version": 1,
    "controller_id": _CONTROLLER,
    "controller_name": f"{_CONTROLLER}.steelyard",
    "device_name": "board",
    "addresses": ["10.0.0.1:7443"],
    "enrollment_addresses": ["10.0.0.1:7444"],
    "issued_at_s": 1.0,
    "not_after_s": 2.0,
    "clock_offset_s": 0.0,
    "last_good_address": "",
}

FILE_TARGETS: tuple[FileTarget, ...] = (
    FileTarget(name="model", values=lambda: damaged(_models()), feed=partial(_read_model, read_artifact)),
    FileTarget(name="layers", values=lambda: damaged(_models()), feed=partial(_read_model, read_layers)),
    FileTarget(name="recipe", values=lambda: _tomls(_RECIPE), feed=_of(parse_recipe)),
    FileTarget(
        name="inline-recipe", values=lambda: _texts("fold+static-int8,per_channel=true"), feed=_of(parse_inline)
    ),
    FileTarget(name="requirement", values=lambda: _texts("p90<20ms", "drop<1pp"), feed=_of(parse_requirement)),
    FileTarget(name="meter-url", values=lambda: _texts("shelly:http://192.168.1.20?switch=1"), feed=_of(checked_url)),
    FileTarget(name="task", values=lambda: _tomls(_TASK, _SOURCE_TASK), feed=_read_task),
    FileTarget(
        name="profile", values=lambda: _tomls(_PROFILE), feed=lambda text, _folder: parse_profile(text, "board.toml")
    ),
    FileTarget(name="policy", values=lambda: _tomls(_POLICY), feed=_read_policy, refusals=(ValueError,)),
    FileTarget(name="settings", values=lambda: _tomls(_SETTINGS), feed=_read_settings),
    FileTarget(
        name="membership",
        values=lambda: _jsons(_MEMBERSHIP).map(lambda content: content.decode("utf-8", "replace")),
        feed=_read_membership,
    ),
    FileTarget(name="npz", values=lambda: damaged(_npz()), feed=partial(_read_file, "d.npz", read_arrays)),
    FileTarget(name="packed-data", values=lambda: damaged(_npz()), feed=_of(unpack)),
    FileTarget(name="truth", values=lambda: damaged(_npz()), feed=_of(unpack_truth)),
    FileTarget(name="idx", values=lambda: damaged([_idx()]), feed=partial(_read_file, "d-idx3-ubyte", read_idx)),
    FileTarget(
        name="wave",
        values=lambda: damaged([_wav()]),
        feed=partial(_read_file, "d.wav", lambda path: read_wave(path, 16_000, resample=True)),
    ),
    FileTarget(
        name="csv",
        values=lambda: damaged([b'a,b\n1,"two\nlines"\n3,4\n']),
        feed=partial(_read_file, "d.csv", lambda path: read_rows(path, ("a", "b"))),
    ),
    FileTarget(
        name="jsonl",
        values=lambda: _jsons({"a": 1, "b": [1, 2]}),
        feed=partial(_read_file, "d.jsonl", lambda path: read_rows(path, ("a", "b"))),
    ),
    FileTarget(name="round", values=lambda: messages(result_pb2.RoundResult), feed=_read_round),
    FileTarget(
        name="round-bytes",
        values=lambda: damaged([result_pb2.RoundResult(job_id="j", attempt=1).SerializeToString()]),
        feed=_of(lambda content: parse_round(content, "0" * 64)),
    ),
    FileTarget(name="join-code", values=lambda: _texts(*_join_codes()), feed=_of(decode_join_code)),
    FileTarget(name="join-code-on-device", values=lambda: _texts(*_join_codes()), feed=_of(decode_on_device)),
    FileTarget(name="request", values=lambda: _texts(request_pem(make_key())), feed=_of(read_request)),
    FileTarget(
        name="certificate",
        values=lambda: damaged(_certificates()).map(_pem_of),
        feed=_of(lambda pem: read_shown(pem, [_authority().certificate])),
    ),
    FileTarget(name="export", values=lambda: damaged([_exported()]), feed=_of(partial(archive.unseal, passphrase="x"))),
    FileTarget(
        name="sealed-identity",
        values=lambda: damaged([_sealed()]),
        feed=_of(partial(folder_archive.unseal_files, passphrase=_PASSPHRASE, scrypt_n=2)),
    ),
    FileTarget(name="backup", values=lambda: damaged([_backup()]), feed=_restore),
    FileTarget(
        name="bundle",
        values=lambda: st.one_of(damaged([_bundle()]), _rewritten_bundles()),
        feed=partial(_read_file, "b.zip", verify_bundle),
    ),
    FileTarget(
        name="bundle-manifest",
        values=lambda: odd_json().map(lambda v: json.dumps(v).encode()),
        feed=_of(parse_manifest),
    ),
    FileTarget(
        name="shelly",
        values=lambda: st.one_of(changed(_SHELLY), odd_json()),
        feed=_of(partial(shelly.sample_of, time_ns=1)),
    ),
    FileTarget(
        name="tasmota",
        values=lambda: st.one_of(changed(_TASMOTA), odd_json()),
        feed=_of(partial(tasmota.sample_of, time_ns=1, channel=0)),
    ),
)

_FOLDER_NUMBERS = itertools.count()


def feed(target: FileTarget, value: Any, root: Path) -> None:
    """Give a value to a reader, in a folder of its own below ``root``; a refusal is an answer."""
    import shutil

    folder = root / f"{target.name}-{next(_FOLDER_NUMBERS)}"
    folder.mkdir()
    try:
        target.feed(value, folder)
    except target.refusals:
        pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)
