"""Readers of what people, jobs of CI and the programs themselves leave in files."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tomllib
from hypothesis import strategies as st

from steelyard.bisect.records import BisectRecord
from steelyard.compress.parts.parts_file import load_parts
from steelyard.control.logins import Logins
from steelyard.control.token import decode_token
from steelyard.export.folder import _previous_export
from steelyard.gate.forks import fork_of
from steelyard.nightly.report_json import from_json, to_json
from steelyard.suites.reading import load_suite
from steelyard.suites.starter import starter_suite
from steelyard.tasks.load import load_task
from steelyard.tasks.sources.geometry import Geometry
from steelyard.tasks.sources.pictures import read_pictures
from steelyard_agent.environments import read_environments
from steelyard_agent.meters.access.termux_battery import power_pw
from steelyard_agent.profiles.described import read_description
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import decode_entry
from steelyard_agent.state.settings import read_settings
from tests.controller.compress.parts.test_parts_file import _GOOD as PARTS
from tests.controller.nightly.night_documents import bad_night
from tests.fuzzing import file_samples as samples
from tests.fuzzing.file_targets import REFUSALS, FileTarget
from tests.fuzzing.odd_values import changed, damaged, to_toml

_EVENT = {
    "action": "opened",
    "pull_request": {"head": {"repo": {"full_name": "eve/models"}}, "base": {"repo": {"full_name": "acme/models"}}},
}
_COCO = {
    "images": [{"id": number, "file_name": f"{number}.png"} for number in range(3)],
    "categories": [{"id": 1, "name": "cup"}, {"id": 7, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 4, 4]},
        {"id": 2, "image_id": 1, "category_id": 7, "bbox": [0, 0, 8, 8], "iscrowd": 1},
    ],
}
_COCO_TASK = """\
name = "cups"
[metric]
kind = "map"
[source]
kind = "coco"
annotations = "boxes.json"
evaluation_count = 3
"""
_TOKEN = {
    "addresses": ["lab:7443"],
    "controller_id": "c0ffee",
    "controller_name": "c0ffee.steelyard",
    "user": "ci",
    "not_after": 4_000_000_000,
    "key": "k",
    "certificate": "c",
    "authorities": "a",
}
_LOGIN = {
    "controller_id": "c0ffee",
    "controller_name": "c0ffee.steelyard",
    "user": "ada",
    "addresses": ["lab:7443"],
    "not_after_s": 4_000_000_000,
    "renew_after_s": 3_900_000_000,
}
_DEVICE = {
    "device": {
        "name": "pi5",
        "model": "Raspberry Pi 5",
        "architecture": "aarch64",
        "processor": "Cortex-A76",
        "logical_core_count": 4,
        "processor_features": ["asimd"],
        "memory_bytes": 8_000_000_000,
        "identity": {"virtual": False, "device_tree_compatibles": ["raspberrypi,5-model-b"]},
        "runtimes": [{"name": "onnxruntime", "version": "1.20", "reason": "", "providers": []}],
        "meters": [],
    }
}
_ENVIRONMENTS = {"environment": {"old": {"python": "/opt/old/bin/python"}}}
_OUTBOX = {
    "key": {"job_id": "j", "attempt": 1, "round_number": 2},
    "epoch": 3,
    "result": {"digest": "ab" * 32, "size": 9},
    "outputs": [],
}
_BATTERY = {"plugged": "UNPLUGGED", "current": -300_000, "voltage": 3900}
_COMPARISON = {"version": 1, "comparisons": [{"index": 1, "answer": "slower", "reason": "p50 +9 %", "job_id": "5f0c"}]}


def _starter() -> dict[str, Any]:
    text = starter_suite(file="night.toml", name="night", model='"digits"', source='file = "digits.onnx"')
    return {**tomllib.loads(text), "notify": {"team": {"kind": "webhook", "url": "https://chat.example.org/x"}}}


def _parts() -> dict[str, Any]:
    return tomllib.loads(PARTS)


def _picture(kind: str) -> bytes:
    import PIL.Image

    stream = io.BytesIO()
    pixels = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    PIL.Image.fromarray(pixels).save(stream, format=kind)
    return stream.getvalue()


def _pictures() -> tuple[bytes, ...]:
    return tuple(_picture(kind) for kind in ("PNG", "JPEG", "BMP", "WEBP"))


def _in_folder(name: str, read: Callable[[Path], object], content: str | bytes, folder: Path) -> object:
    """Write a file, and let ``read`` have its folder."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read(folder)


def _jsons(document: Any) -> st.SearchStrategy[bytes]:
    broken = damaged([json.dumps(document).encode(), b"[" * 3000])
    return st.one_of(changed(document).map(lambda one: json.dumps(one).encode()), broken)


def _tomls(document: Mapping[str, Any]) -> st.SearchStrategy[bytes]:
    return st.one_of(changed(document).map(lambda one: to_toml(one).encode()), damaged([to_toml(document).encode()]))


def _coco(content: bytes, folder: Path) -> object:
    for number in range(3):
        (folder / f"{number}.png").write_bytes(_picture("PNG"))
    (folder / "boxes.json").write_bytes(content)
    (folder / "task.toml").write_text(_COCO_TASK)
    return load_task(folder / "task.toml")


def _suite(content: bytes, folder: Path) -> object:
    (folder / "digits.onnx").write_bytes(samples.models()[0])
    return _in_folder("night.toml", lambda there: load_suite(there / "night.toml", {}), content, folder)


def _token(content: bytes) -> object:
    return decode_token("syt1-" + base64.urlsafe_b64encode(zlib.compress(content)).decode().rstrip("="))


def _login(content: bytes, folder: Path) -> object:
    (folder / "one").mkdir()
    for name in ("key.pem", "certificate.pem", "authorities.pem"):
        (folder / "one" / name).write_bytes(b"x")
    (folder / "one" / "login.json").write_bytes(content)
    return Logins(folder).all()


def _event(folder: Path) -> object:
    return fork_of({"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(folder / "event.json")})


def _bisection(content: bytes, folder: Path) -> object:
    path = BisectRecord(folder, ["p50"], []).path
    path.write_bytes(content)
    return BisectRecord(folder, ["p50"], [])


INPUT_TARGETS: tuple[FileTarget, ...] = (
    FileTarget(
        name="suite", whole=lambda: to_toml(_starter()).encode(), values=lambda: _tomls(_starter()), feed=_suite
    ),
    FileTarget(
        name="parts",
        whole=lambda: to_toml(_parts()).encode(),
        values=lambda: _tomls(_parts()),
        feed=partial(_in_folder, "parts.toml", lambda folder: load_parts(folder / "parts.toml")),
    ),
    FileTarget(name="coco", whole=lambda: json.dumps(_COCO).encode(), values=lambda: _jsons(_COCO), feed=_coco),
    FileTarget(
        name="picture",
        whole=lambda: _pictures()[0],
        values=lambda: damaged(_pictures()),
        feed=partial(_in_folder, "a.png", lambda folder: read_pictures([folder / "a.png"], Geometry())),
    ),
    FileTarget(
        name="token",
        whole=lambda: json.dumps(_TOKEN).encode(),
        values=lambda: _jsons(_TOKEN),
        feed=lambda content, _folder: _token(content),
    ),
    FileTarget(name="login", whole=lambda: json.dumps(_LOGIN).encode(), values=lambda: _jsons(_LOGIN), feed=_login),
    FileTarget(
        name="event",
        whole=lambda: json.dumps(_EVENT).encode(),
        values=lambda: _jsons(_EVENT),
        feed=partial(_in_folder, "event.json", _event),
        # It answers whatever it is given: who cannot be named is a fork.
        refusals=(),
    ),
    FileTarget(
        name="night-report",
        whole=lambda: to_json(bad_night()).encode(),
        values=lambda: _jsons(json.loads(to_json(bad_night()))),
        feed=lambda content, _folder: from_json(content.decode("utf-8", "replace")),
    ),
    FileTarget(name="bisection", values=lambda: _jsons(_COMPARISON), feed=_bisection),
    FileTarget(
        name="export-signature",
        values=lambda: _jsons({"kind": "export", "artifact_digest": "ab"}),
        feed=partial(_in_folder, "signature.json", _previous_export),
        refusals=(),
    ),
    FileTarget(
        name="environments",
        whole=lambda: to_toml(_ENVIRONMENTS).encode(),
        values=lambda: _tomls(_ENVIRONMENTS),
        feed=partial(_in_folder, "environments.toml", read_environments),
    ),
    FileTarget(
        name="description",
        whole=lambda: json.dumps(_DEVICE).encode(),
        values=lambda: _jsons(_DEVICE),
        feed=lambda content, _folder: read_description(content.decode("utf-8", "replace")),
    ),
    FileTarget(
        name="device-settings",
        whole=lambda: b'{"core_selection": "BIG"}',
        values=lambda: _jsons({"core_selection": "BIG"}),
        feed=partial(_in_folder, "settings.json", read_settings),
    ),
    FileTarget(
        name="device-identity",
        values=lambda: _jsons({"device_id": "55fb0b5c-fed0-4c1e-9a51-0d3c8f6f2b11", "epoch": 3}),
        feed=partial(_in_folder, "device.json", lambda folder: IdentityFile(folder / "device.json")),
    ),
    FileTarget(
        name="outbox",
        values=lambda: _jsons(_OUTBOX),
        feed=lambda content, _folder: decode_entry(content),
        refusals=(ValueError,),
    ),
    FileTarget(
        name="battery",
        whole=lambda: json.dumps(_BATTERY),
        values=lambda: _jsons(_BATTERY).map(lambda content: content.decode("utf-8", "replace")),
        feed=lambda text, _folder: power_pw(text),
        refusals=REFUSALS,
    ),
)
