import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.state import outbox as outbox_module
from steelyard_agent.state.errors import DiskFullError
from steelyard_agent.state.outbox import Outbox, OutboxBlob, OutboxEntry, RoundKey, decode_entry, encode_entry
from tests.support.fake_controller import digest_of

KEY = RoundKey(job_id="job-1", attempt=1, pass_kind=2, round_index=0)
BLOBS = st.builds(
    OutboxBlob, digest=st.binary(max_size=4).map(digest_of), size_bytes=st.integers(min_value=0, max_value=2**50)
)
KEYS = st.builds(
    RoundKey,
    job_id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True),
    attempt=st.integers(0, 999_999_999),
    pass_kind=st.integers(0, 99),
    round_index=st.integers(0, 999_999_999),
)


@given(st.builds(OutboxEntry, key=KEYS, epoch=st.integers(0, 2**63), result=BLOBS, outputs=st.lists(BLOBS).map(tuple)))
def test_an_entry_reads_back_as_it_was_written(entry: OutboxEntry) -> None:
    assert decode_entry(encode_entry(entry)) == entry


@given(st.binary(max_size=200) | st.recursive(st.none(), st.lists, max_leaves=3).map(repr).map(str.encode))
def test_garbage_is_no_entry_and_says_so(content: bytes) -> None:
    with pytest.raises(ValueError):
        decode_entry(content)


@pytest.mark.parametrize("job_id", ["", "../x", "a@b", "a/b", "x" * 101, ".hidden", "a\n"])
def test_a_job_id_that_is_no_name_never_becomes_a_folder(job_id: str) -> None:
    with pytest.raises(ValueError, match="cannot name a round"):
        RoundKey(job_id=job_id, attempt=1, pass_kind=2, round_index=0)


def test_a_round_and_its_outputs_survive_a_restart(tmp_path: Path) -> None:
    box, work = tmp_path / "box", tmp_path / "work.npz"
    box.mkdir()
    work.write_bytes(b"outputs")
    outbox = Outbox(box)
    entry = outbox.put(KEY, epoch=3, result=b"round", outputs={digest_of(b"outputs"): work})
    assert not work.exists()
    again = Outbox(box)
    assert again.entries() == (entry,)
    assert KEY in again
    assert again.result_path(entry).read_bytes() == b"round"
    assert again.output_path(entry, entry.outputs[0]).read_bytes() == b"outputs"
    again.remove(KEY)
    again.remove(KEY)
    assert list(box.iterdir()) == []
    assert Outbox(box).entries() == ()


def test_rounds_are_told_in_the_order_in_which_they_were_finished(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    keys = [RoundKey(job_id="j", attempt=1, pass_kind=2, round_index=index) for index in (9, 10, 2)]
    for age, key in enumerate(keys):
        outbox.put(key, epoch=1, result=b"%d" % key.round_index, outputs={})
        folder = tmp_path / key.folder_name
        import os

        os.utime(folder, (1_000_000 + age, 1_000_000 + age))
    assert [entry.key for entry in Outbox(tmp_path).entries()] == keys


def test_a_half_written_round_is_dropped_and_a_damaged_one_is_moved_aside(tmp_path: Path) -> None:
    Outbox(tmp_path).put(KEY, epoch=1, result=b"r", outputs={})
    (tmp_path / ".unfinished-x").mkdir()
    (tmp_path / "job-1@1@2@7").mkdir()
    (tmp_path / "job-1@1@2@8").mkdir()
    entry = (tmp_path / KEY.folder_name / "entry.json").read_bytes()
    (tmp_path / "job-1@1@2@8" / "entry.json").write_bytes(entry)
    assert [entry.key for entry in Outbox(tmp_path).entries()] == [KEY]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["damaged-job-1@1@2@7", "damaged-job-1@1@2@8", KEY.folder_name]
    assert [entry.key for entry in Outbox(tmp_path).entries()] == [KEY]


def test_a_round_that_is_damaged_once_more_does_not_keep_the_outbox_from_opening(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        (tmp_path / KEY.folder_name).mkdir()
        (tmp_path / KEY.folder_name / "entry.json").write_bytes(content)
        assert Outbox(tmp_path).entries() == ()
    assert (tmp_path / f"damaged-{KEY.folder_name}" / "entry.json").read_bytes() == b"second"


@pytest.mark.parametrize(("number", "expected"), [(errno.ENOSPC, DiskFullError), (errno.EIO, OSError)])
def test_a_disk_that_refuses_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(number, "refused", str(path))

    outbox = Outbox(tmp_path)
    monkeypatch.setattr(outbox_module, "write_durably", refuse)
    with pytest.raises(expected):
        outbox.put(KEY, epoch=1, result=b"r", outputs={})
    assert list(tmp_path.iterdir()) == []
    assert KEY not in outbox


def test_a_round_that_found_no_room_is_kept_whole_once_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "full", str(path))

    (tmp_path / "outbox").mkdir()
    outbox = Outbox(tmp_path / "outbox")
    made = tmp_path / "outputs"
    made.write_bytes(b"outputs")
    with monkeypatch.context() as patched:
        patched.setattr(outbox_module, "write_durably", refuse)
        with pytest.raises(DiskFullError):
            outbox.put(KEY, epoch=1, result=b"r", outputs={"a" * 64: made})
    assert made.read_bytes() == b"outputs"
    entry = outbox.put(KEY, epoch=1, result=b"r", outputs={"a" * 64: made})
    assert outbox.output_path(entry, entry.outputs[0]).read_bytes() == b"outputs"


def test_a_blob_of_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="makes no sense"):
        OutboxBlob(digest="a" * 64, size_bytes=-1)
