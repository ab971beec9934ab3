"""Whole files and texts of every kind that is read: what fuzzing damages."""

from __future__ import annotations

import io
import tempfile
import wave
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tomllib
from cryptography.hazmat.primitives import serialization

from steelyard.backup.write import write_backup
from steelyard.compress.built_in_recipes import builtin_recipes
from steelyard.identity import archive, authority, folder_archive
from steelyard.identity.join_code import CodeKind, JoinCode, encode_join_code
from steelyard.identity.subjects import Subject
from steelyard.store.store import Store
from steelyard.tasks.packing import pack
from tests.controller.bundle.planted import write as write_bundle
from tests.support.certificate_holder import make_key
from tests.support.models import linear_model
from tests.support.tflite_models import tflite_linear_model

NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)


CONTROLLER = "c0ffee" * 5 + "00"


PASSPHRASE = "correct horse battery"


def _made(write: Callable[[Path], object], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


@cache
def models() -> tuple[bytes, ...]:
    onnx = _made(linear_model, "m.onnx")
    tflite = _made(tflite_linear_model, "m.tflite")
    return (onnx, tflite)


TASK = {
    "name": "digits",
    "data": "digits.npz",
    "evaluation": {"inputs": "x", "labels": "y"},
    "metric": {"kind": "top1"},
    "preprocess": {"divide": 255.0, "mean": [0.5], "std": [0.5], "layout": "NCHW"},
}


SOURCE_TASK = {
    "name": "rows",
    "source": {"kind": "table", "path": "rows.csv", "features": ["a", "b"], "label": "c", "seed": 1},
    "metric": {"kind": "top1"},
    "fixed": {"sr": 16000},
}


PROFILE = {
    "schema_version": 2,
    "name": "board",
    "title": "A board",
    "match": {"device_tree_compatibles": ["maker,board"], "soc_compatibles": ["maker,chip"]},
    "processor": {"cores": 4, "features": ["asimd"], "lacks": ["i8mm"], "source": "manual"},
    "facts": {"memory": {"value": "1 GB", "source": "data sheet"}},
    "power": {"kind": "ina3221", "scope": "module", "covers": "the module", "source": "guide"},
    "runtimes": [{"name": "onnxruntime", "when": "64-bit", "install": "pip install it", "source": "PyPI"}],
    "traps": [{"text": "it throttles", "source": "manual"}],
}


POLICY = {
    "windows": ["22:00-06:00", "Sat,Sun 00:00-24:00"],
    "idle_only": True,
    "charging_only": False,
    "unmetered_only": False,
    "minutes_per_day": 60,
}


SETTINGS = {
    "agent_listen": "127.0.0.1:7433",
    "secure_listen": "0.0.0.0:7443",
    "enroll_listen": "0.0.0.0:7444",
    "advertise": ["lab.example.org"],
    "state_directory": "state",
    "local_allowed": True,
    "controller": "lab:7443",
}


SHELLY = {"id": 0, "apower": 3.1, "voltage": 230.1, "aenergy": {"total": 12.5, "by_minute": [1, 2, 3]}}


TASMOTA = {"StatusSNS": {"ENERGY": {"Power": [3, 4], "Total": [1.2, 0.3], "Voltage": 230}}}


@cache
def recipes() -> tuple[dict[str, Any], ...]:
    return tuple(tomllib.loads(one.to_toml()) for one in builtin_recipes())


@cache
def npz() -> tuple[bytes, ...]:
    packed = pack("x", np.arange(12, dtype=np.float32).reshape(3, 4))
    stream = io.BytesIO()
    np.savez_compressed(stream, x=np.zeros((3, 4)), y=np.arange(3))
    return (packed, stream.getvalue())


@cache
def idx() -> bytes:
    return b"\0\0\x08\x03" + b"\0\0\0\x02\0\0\0\x03\0\0\0\x02" + bytes(range(12))


@cache
def wav() -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(400))
    return stream.getvalue()


@cache
def authority_key() -> authority.SignedKey:
    return authority.make_authority(CONTROLLER, NOW)


@cache
def certificates() -> tuple[bytes, ...]:
    key = make_key()
    subject = Subject(controller_id=CONTROLLER, kind="device", name="0b6cf94a-3b35-4c36-9d1c-3a1b8f2c7f10")
    client = authority.sign_client(authority_key(), subject, key.public_key(), not_after=NOW + timedelta(days=1))
    return (
        authority.certificate_pem(client),
        client.public_bytes(serialization.Encoding.DER),
        authority_key().certificate_pem,
        authority.make_controller_certificate(authority_key(), CONTROLLER, NOW).certificate_pem,
    )


@cache
def join_codes() -> tuple[str, ...]:
    return tuple(
        encode_join_code(JoinCode(kind=kind, secret=bytes(16), fingerprint=bytes(16), addresses=("10.0.0.1:7444",)))
        for kind in CodeKind
    )


@cache
def bundle() -> bytes:
    return _made(write_bundle, "bundle.zip")


@cache
def backup() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        state = Path(name) / "state"
        state.mkdir()
        store = Store(state / "steelyard.sqlite3")
        store.controller_id("controller-1")
        store.close()
        write_backup(state, Path(name) / "copy.tar", NOW)
        return (Path(name) / "copy.tar").read_bytes()


@cache
def sealed() -> bytes:
    return folder_archive.seal_files({"authority.pem": b"key"}, PASSPHRASE, scrypt_n=2)


@cache
def exported() -> bytes:
    return archive.seal(authority_key(), PASSPHRASE, kdf_rounds=1)


MEMBERSHIP = {
    "schema_version": 1,
    "controller_id": CONTROLLER,
    "controller_name": f"{CONTROLLER}.steelyard",
    "device_name": "board",
    "addresses": ["10.0.0.1:7443"],
    "enrollment_addresses": ["10.0.0.1:7444"],
    "issued_at_s": 1.0,
    "not_after_s": 2.0,
    "clock_offset_s": 0.0,
    "last_good_address": "",
}
