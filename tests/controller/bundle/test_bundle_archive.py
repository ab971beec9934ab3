"""Reading archives that nobody vouches for: one sentence each, and nothing unpacked anywhere."""

from __future__ import annotations

import io
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.bundle import BundleError, archive, verify_bundle
from steelyard.bundle.manifest import BundledJob, Manifest, Member, parse_manifest
from steelyard.errors import SteelyardError
from tests.controller.bundle.planted import members_of, write

Entry = Callable[[zipfile.ZipFile], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("whole") / "bundle.zip").path.read_bytes()


def with_entry(whole: bytes, path: Path, add: Entry) -> Path:
    path.write_bytes(whole)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as target:
        add(target)
    return path


def named(name: str, content: bytes = b"evil", mode: int = stat.S_IFREG | 0o644) -> Entry:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return lambda target: target.writestr(entry, content)


@pytest.mark.parametrize(
    ("add", "sentence"),
    [
        (named("../../outside.json"), "'../../outside.json' has a name that leads elsewhere"),
        (named("/etc/cron.d/evil"), "leads elsewhere"),
        (named("jobs/../../record.json"), "leads elsewhere"),
        (named("C:\\evil.json"), "leads elsewhere"),
        (named("jobs\\x\\record.json"), "leads elsewhere"),
        (named("readme.txt"), "leads elsewhere or means nothing here"),
        (named(f"blobs/{'a' * 64}", b"/etc/passwd", stat.S_IFLNK | 0o777), "is a link, a folder or a device"),
        (named(f"blobs/{'a' * 64}", b"", stat.S_IFDIR | 0o755), "is a link, a folder or a device"),
        (named(f"blobs/{'a' * 64}", b"", stat.S_IFCHR | 0o666), "is a link, a folder or a device"),
        (named(f"blobs/{'a' * 64}"), "is there and the manifest does not list it"),
        (named("jobs/other/record.json"), "is there and the manifest does not list it"),
    ],
)
def test_a_member_that_no_bundle_has_is_refused(whole: bytes, tmp_path: Path, add: Entry, sentence: str) -> None:
    path = with_entry(whole, tmp_path / "b.zip", add)
    with pytest.raises(BundleError, match=sentence.replace(".", r"\.")) as caught:
        verify_bundle(path)
    assert "\n" not in str(caught.value)
    assert [one.name for one in tmp_path.iterdir()] == ["b.zip"]


def test_a_name_that_is_there_twice_is_refused(whole: bytes, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = with_entry(whole, tmp_path / "b.zip", named("manifest.json", b"{}"))
    with pytest.raises(BundleError, match=r"'manifest.json' is there twice"):
        verify_bundle(path)


def test_a_member_that_is_missing_is_named(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(whole)
    members = members_of(path)
    gone = next(name for name in members if name.startswith("blobs/"))
    del members[gone]
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    with pytest.raises(BundleError, match=f"{gone} is listed and not there"):
        verify_bundle(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
        target.open(f"blobs/{'a' * 64}", "w") as member,
    ):
        for _ in range(400):
            member.write(bytes(1024 * 1024))
    with pytest.raises(BundleError, match="would unpack to 419430400 bytes, more than 200 times its size"):
        verify_bundle(path)


def test_a_member_that_is_larger_than_any_is_refused_unread(
    whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(whole)
    monkeypatch.setattr(archive, "_MOST_JSON_BYTES", 100)
    with pytest.raises(BundleError, match=r"manifest.json has \d+ bytes; at most 100 are read"):
        verify_bundle(path)
    monkeypatch.undo()
    monkeypatch.setattr(archive, "_MOST_MEMBERS", 3)
    with pytest.raises(BundleError, match="members; at most 3 are read"):
        verify_bundle(path)


def test_a_size_that_lies_is_found(whole: bytes, tmp_path: Path) -> None:
    """The central directory says ten bytes; what is unpacked is not one more, and its checksum does not fit."""
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(io.BytesIO(whole)) as source:
        info = source.getinfo("manifest.json")
    found = whole.rindex(b"PK\x01\x02")
    assert int.from_bytes(whole[found + 24 : found + 28], "little") == info.file_size
    path.write_bytes(whole[: found + 24] + (10).to_bytes(4, "little") + whole[found + 28 :])
    with pytest.raises(BundleError, match="damaged or cut short"):
        verify_bundle(path)


def test_other_compressions_and_encryption_are_refused(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    members = {}
    with zipfile.ZipFile(io.BytesIO(whole)) as source:
        members = {info.filename: source.read(info) for info in source.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as target:
        for name, content in members.items():
            target.writestr(name, content)
    with pytest.raises(BundleError, match="is compressed by method 12"):
        verify_bundle(path)
    found = whole.rindex(b"PK\x01\x02")
    path.write_bytes(whole[: found + 8] + b"\x01\x00" + whole[found + 10 :])
    with pytest.raises(BundleError, match="is encrypted"):
        verify_bundle(path)


def test_a_bundle_within_a_bundle_is_a_part_like_any_other(whole: bytes, tmp_path: Path) -> None:
    path = with_entry(whole, tmp_path / "b.zip", named(f"blobs/{'b' * 64}", whole))
    with pytest.raises(BundleError, match="the manifest does not list it"):
        verify_bundle(path)


def test_an_archive_that_is_no_bundle_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as target:
        named(f"blobs/{'a' * 64}")(target)
    with pytest.raises(BundleError, match=r"has no manifest.json: it is no bundle"):
        verify_bundle(path)


def answer(path: Path) -> str:
    """What is said of a bundle, "" when it agrees; anything else than our own errors goes through."""
    try:
        found = verify_bundle(path)
    except SteelyardError as error:
        return str(error) or "\n"
    return "" if found.agrees else "\n"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_byte_of_it_turns_into_the_answer_is_one_sentence(
    whole: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    """Bytes overwritten, cut out or put in, anywhere: refused, or found to agree where nothing that counts changed."""
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(changed) - 1))
        length = data.draw(st.integers(0, 40))
        changed[start : start + length] = data.draw(st.binary(max_size=40))
    path = tmp_path / "b.zip"
    path.write_bytes(bytes(changed))
    assert answer(path) == "" or re.fullmatch(r"[^\n]+", answer(path))
    assert [one.name for one in tmp_path.iterdir()] == ["b.zip"]


@settings(max_examples=150, deadline=None)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_bytes_are_taken_for_a_manifest(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"manifest.json"):
        parse_manifest(content)


_TEXT = st.text(max_size=20)
_DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
_JOBS = st.builds(
    BundledJob, job_id=st.text("abcdef0123456789", min_size=1, max_size=32), title=_TEXT, device_name=_TEXT
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    jobs = tuple(draw(st.lists(_JOBS, min_size=1, max_size=3, unique_by=lambda one: one.job_id)))
    digests = draw(st.lists(_DIGESTS, max_size=4, unique=True))
    members = [Member(name=f"blobs/{one}", kind="round", sha256=one, size_bytes=7) for one in digests]
    for job in jobs:
        for name, kind in ((job.record_name, "record"), (job.measurement_name, "measurement")):
            members.append(Member(name=name, kind=kind, sha256=draw(_DIGESTS), size_bytes=draw(st.integers(0, 2**40))))
    return Manifest(
        title=draw(_TEXT),
        written_by=draw(_TEXT),
        versions=draw(st.dictionaries(_TEXT, _TEXT, max_size=3)),
        is_anonymous=draw(st.booleans()),
        jobs=jobs,
        members=tuple(members),
    )


@given(manifest=manifests())
def test_a_manifest_is_read_back_as_it_was_written(manifest: Manifest) -> None:
    assert parse_manifest(manifest.to_json()) == manifest
    assert parse_manifest(manifest.to_json()).to_json() == manifest.to_json()
