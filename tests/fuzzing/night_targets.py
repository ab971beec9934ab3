"""Readers of what nights leave behind, and of who is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from steelyard.nightly.heartbeat import read_heartbeat
from steelyard.nightly.night_findings import Outcome
from steelyard.notify.reading import read_channels
from steelyard.triage.alert_json import alert_from_json, alert_to_json, silence_from_json, silence_to_json
from steelyard.triage.silence import parse_matcher
from tests.controller.triage.findings import finding, silence, tell
from tests.fuzzing.file_targets import FileTarget
from tests.fuzzing.odd_values import ODD_TEXTS, changed, damaged

_CHANNELS: tuple[dict[str, Any], ...] = (
    {
        "kind": "email",
        "host": "smtp.example.org",
        "security": "tls",
        "user": "night",
        "password_env": "P",
        "from": "Steelyard <night@example.org>",
        "to": ["ada@example.org"],
    },
    {"kind": "webhook", "url": "https://chat.example.org/x", "headers": {"X-Key": {"env": "KEY"}}, "format": "json"},
    {"kind": "webhook", "url_file": "hook", "when": "not_pass"},
    {
        "kind": "github",
        "repository": "acme/models",
        "issue": 12,
        "token_env": "T",
        "api": "https://git.example.org/api/v3",
    },
    {"kind": "gitlab", "project": "acme/models", "commit": "abc", "token_file": "t"},
)
_HEARTBEAT = {"url": "https://hc.example.org/ping/1", "start": "/start", "success": "", "fail": "/{exit_code}"}


def _alert() -> str:
    return alert_to_json(tell(10, finding(Outcome.CONFIRMED)).alerts[0])


def _silence() -> str:
    return silence_to_json(silence("model=mobile*", "device=pi5"))


def _jsons(whole: Callable[[], str]) -> st.SearchStrategy[str]:
    broken = damaged([whole().encode()]).map(lambda content: content.decode("utf-8", "replace"))
    return st.one_of(changed(json.loads(whole())).map(json.dumps), broken)


def _read_channel(table: dict[str, Any], folder: Path) -> object:
    return read_channels({"team": table}, folder=folder)


NIGHT_TARGETS: tuple[FileTarget, ...] = (
    FileTarget(
        name="alert",
        whole=_alert,
        values=partial(_jsons, _alert),
        feed=lambda text, _folder: alert_from_json(text, version=1),
    ),
    FileTarget(
        name="silence",
        whole=_silence,
        values=partial(_jsons, _silence),
        feed=lambda text, _folder: silence_from_json(text, version=1),
    ),
    FileTarget(
        name="matcher",
        whole=lambda: "model=mobile*",
        values=lambda: st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=20).map("model=".__add__)),
        feed=lambda text, _folder: parse_matcher(text),
    ),
    FileTarget(name="channel", whole=lambda: _CHANNELS[0], values=lambda: changed(*_CHANNELS), feed=_read_channel),
    FileTarget(
        name="heartbeat",
        whole=lambda: _HEARTBEAT,
        values=lambda: changed(_HEARTBEAT),
        feed=lambda table, folder: read_heartbeat(table, folder=folder),
    ),
)
