"""Every reader of a file or a text that comes from somebody else, each with what it may be given."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from steelyard.analysis.record import parse_round
from steelyard.artifacts import read_artifact
from steelyard.backup.restore import read_manifest, restore_backup
from steelyard.bundle import verify_bundle
from steelyard.bundle.manifest import parse_manifest
from steelyard.compress.inline_text import parse_inline
from steelyard.compress.recipe_text import parse_recipe
from steelyard.control.round_check import refuse_nonsense
from steelyard.errors import SteelyardError
from steelyard.identity import archive, folder_archive
from steelyard.identity.join_code import decode_join_code
from steelyard.identity.requests import read_request
from steelyard.identity.shown import read_shown
from steelyard.layers.read import read_layers
from steelyard.meters import shelly, tasmota
from steelyard.meters.registry import checked_url
from steelyard.settings import load_settings
from steelyard.stats.requirements import parse_requirement
from steelyard.tasks.load import load_task
from steelyard.tasks.npz_source import read_arrays
from steelyard.tasks.packing import unpack
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
from tests.fuzzing import file_samples as samples
from tests.fuzzing.odd_values import ODD_TEXTS, by_chance, changed, damaged, messages, odd_json, to_toml
from tests.support.certificate_holder import make_key, request_pem

# A refusal: it names the value and the next step, and is caught where it becomes a sentence for people.
REFUSALS = (SteelyardError, AgentError)


Feed = Callable[[Any, Path], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTarget:
    """A reader; ``feed`` gives it a value (and an empty folder) and lets every error but a refusal through."""

    name: str
    values: Callable[[], st.SearchStrategy[Any]]
    feed: Feed
    # Something that it reads: what is damaged should be near to it.
    whole: Callable[[], Any] | None = None
    # Readers that say what is wrong by another class, as their docstring promises.
    refusals: tuple[type[Exception], ...] = REFUSALS


def _read_model(read: Callable[[Path], object], content: bytes, folder: Path) -> object:
    suffix = ".tflite" if content[4:8] == b"TFL3" else ".onnx"
    path = folder / f"model{suffix}"
    path.write_bytes(content)
    return read(path)


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


def _read_file(name: str, read: Callable[[Path], object], content: bytes, folder: Path) -> object:
    (folder / name).write_bytes(content)
    return read(folder / name)


def _read_round(message: result_pb2.RoundResult, _folder: Path) -> None:
    refuse_nonsense(parse_round(message.SerializeToString(), "0" * 64))


def _pem_of(der: bytes) -> bytes:
    """Return damaged DER in whole PEM, so that more than its armour is read."""
    if b"BEGIN" in der:
        return der
    import base64

    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n".encode()


def _rewritten_bundles() -> st.SearchStrategy[bytes]:
    """Return bundles whose zip is whole and whose members are damaged."""

    def make(random: Any) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(samples.bundle())) as source, zipfile.ZipFile(stream, "w") as target:
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


def _restore(content: bytes, folder: Path) -> None:
    (folder / "copy.tar").write_bytes(content)
    try:
        read_manifest(folder / "copy.tar")
        restore_backup(folder / "copy.tar", folder / "new")
    finally:
        left = {one.name for one in folder.iterdir()} - {"copy.tar", "new"}
        assert not left, f"a restore left {left} behind"


def _of(read: Callable[[Any], object]) -> Feed:
    return lambda value, _folder: read(value)


def _jsons(*documents: Any) -> st.SearchStrategy[bytes]:
    whole = [json.dumps(one).encode() for one in documents]
    return st.one_of(changed(*documents).map(lambda one: json.dumps(one).encode()), damaged(whole))


FILE_TARGETS: tuple[FileTarget, ...] = (
    FileTarget(
        name="model",
        whole=lambda: samples.models()[1],
        values=lambda: damaged(samples.models()),
        feed=partial(_read_model, read_artifact),
    ),
    FileTarget(
        name="layers",
        whole=lambda: samples.models()[0],
        values=lambda: damaged(samples.models()),
        feed=partial(_read_model, read_layers),
    ),
    FileTarget(
        name="recipe",
        whole=lambda: to_toml(samples.recipes()[0]),
        values=lambda: _tomls(*samples.recipes()),
        feed=_of(parse_recipe),
    ),
    FileTarget(
        name="inline-recipe",
        whole=lambda: "fold+static-int8,per_channel=true",
        values=lambda: _texts("fold+static-int8,per_channel=true"),
        feed=_of(parse_inline),
    ),
    FileTarget(
        name="requirement",
        whole=lambda: "p90<20ms",
        values=lambda: _texts("p90<20ms", "drop<1pp"),
        feed=_of(parse_requirement),
    ),
    FileTarget(
        name="meter-url",
        whole=lambda: "shelly:http://192.168.1.20?switch=1",
        values=lambda: _texts("shelly:http://192.168.1.20?switch=1"),
        feed=_of(checked_url),
    ),
    FileTarget(
        name="task",
        whole=lambda: to_toml(samples.TASK),
        values=lambda: _tomls(samples.TASK, samples.SOURCE_TASK),
        feed=_read_task,
    ),
    FileTarget(
        name="profile",
        whole=lambda: to_toml(samples.PROFILE),
        values=lambda: _tomls(samples.PROFILE),
        feed=lambda text, _folder: parse_profile(text, "board.toml"),
    ),
    FileTarget(
        name="policy",
        whole=lambda: to_toml(samples.POLICY),
        values=lambda: _tomls(samples.POLICY),
        feed=_read_policy,
        refusals=(ValueError,),
    ),
    FileTarget(
        name="settings",
        whole=lambda: to_toml(samples.SETTINGS),
        values=lambda: _tomls(samples.SETTINGS),
        feed=_read_settings,
    ),
    FileTarget(
        name="membership",
        whole=lambda: json.dumps(samples.MEMBERSHIP),
        values=lambda: _jsons(samples.MEMBERSHIP).map(lambda content: content.decode("utf-8", "replace")),
        feed=_read_membership,
    ),
    FileTarget(
        name="npz",
        whole=lambda: samples.npz()[1],
        values=lambda: damaged(samples.npz()),
        feed=partial(_read_file, "d.npz", read_arrays),
    ),
    FileTarget(
        name="packed-data", whole=lambda: samples.npz()[0], values=lambda: damaged(samples.npz()), feed=_of(unpack)
    ),
    FileTarget(
        name="truth", whole=lambda: samples.npz()[1], values=lambda: damaged(samples.npz()), feed=_of(unpack_truth)
    ),
    FileTarget(
        name="idx",
        whole=samples.idx,
        values=lambda: damaged([samples.idx()]),
        feed=partial(_read_file, "d-idx3-ubyte", read_idx),
    ),
    FileTarget(
        name="wave",
        whole=samples.wav,
        values=lambda: damaged([samples.wav()]),
        feed=partial(_read_file, "d.wav", lambda path: read_wave(path, 16_000, resample=True)),
    ),
    FileTarget(
        name="csv",
        whole=lambda: b"a,b\n1,2\n",
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
    FileTarget(
        name="join-code",
        whole=lambda: samples.join_codes()[0],
        values=lambda: _texts(*samples.join_codes()),
        feed=_of(decode_join_code),
    ),
    FileTarget(
        name="join-code-on-device",
        whole=lambda: samples.join_codes()[0],
        values=lambda: _texts(*samples.join_codes()),
        feed=_of(decode_on_device),
    ),
    FileTarget(name="request", values=lambda: _texts(request_pem(make_key())), feed=_of(read_request)),
    FileTarget(
        name="certificate",
        whole=lambda: samples.certificates()[0],
        values=lambda: damaged(samples.certificates()).map(_pem_of),
        feed=_of(lambda pem: read_shown(pem, [samples.authority_key().certificate])),
    ),
    FileTarget(
        name="export", values=lambda: damaged([samples.exported()]), feed=_of(partial(archive.unseal, passphrase="x"))
    ),
    FileTarget(
        name="sealed-identity",
        whole=samples.sealed,
        values=lambda: damaged([samples.sealed()]),
        feed=_of(partial(folder_archive.unseal_files, passphrase=samples.PASSPHRASE, scrypt_n=2)),
    ),
    FileTarget(name="backup", whole=samples.backup, values=lambda: damaged([samples.backup()]), feed=_restore),
    FileTarget(
        name="bundle",
        whole=samples.bundle,
        values=lambda: st.one_of(damaged([samples.bundle()]), _rewritten_bundles()),
        feed=partial(_read_file, "b.zip", verify_bundle),
    ),
    FileTarget(
        name="bundle-manifest",
        values=lambda: odd_json().map(lambda v: json.dumps(v).encode()),
        feed=_of(parse_manifest),
    ),
    FileTarget(
        name="shelly",
        whole=lambda: samples.SHELLY,
        values=lambda: st.one_of(changed(samples.SHELLY), odd_json()),
        feed=_of(partial(shelly.sample_of, time_ns=1)),
    ),
    FileTarget(
        name="tasmota",
        whole=lambda: samples.TASMOTA,
        values=lambda: st.one_of(changed(samples.TASMOTA), odd_json()),
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
