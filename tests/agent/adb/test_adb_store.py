from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from steelyard_agent.adb.adb import AdbError
from steelyard_agent.adb.store import PHONE_FOLDER, PhoneStore
from steelyard_agent.state.blob_cache import digest_of


def test_a_file_travels_once_and_is_named_by_its_bytes(phones, phone, model):
    store = PhoneStore(phone.adb)
    remote = store.put(model)
    assert remote == f"{PHONE_FOLDER}/{digest_of(model)}"
    assert store.put(model) == remote
    assert PhoneStore(phone.adb).put(model) == remote, "an agent that starts anew finds it there"
    assert len(phones.calls("push")) == 1
    assert phone.stored == {digest_of(model)}


def test_a_program_may_be_run_and_a_model_may_not(phone, model):
    store = PhoneStore(phone.adb)
    remote = store.put(model, executable=True)
    assert phone.adb.shell(f"test -x {remote}").status == 0


def test_a_phone_without_sha256sum_is_judged_by_size(phones, phone, model):
    phone.write("/no_sha256sum", "")
    store = PhoneStore(phone.adb)
    store.put(model)
    PhoneStore(phone.adb).put(model)
    assert len(phones.calls("push")) == 1


def test_what_somebody_changed_on_the_phone_is_sent_again(phones, phone, model):
    PhoneStore(phone.adb).put(model)
    path = phone.root / "data/local/tmp/steelyard" / digest_of(model)
    path.chmod(0o644)
    path.write_bytes(model.read_bytes()[:-1] + b"!")
    PhoneStore(phone.adb).put(model)
    assert path.read_bytes() == model.read_bytes()
    assert len(phones.calls("push")) == 2


def test_what_somebody_deleted_is_sent_again(phones, phone, model):
    store = PhoneStore(phone.adb)
    store.put(model)
    (phone.root / "data/local/tmp/steelyard" / digest_of(model)).unlink()
    store.put(model)
    assert len(phones.calls("push")) == 2


def test_bytes_that_a_cable_changed_are_not_kept(phone, model):
    phone.write("/damage", "")
    with pytest.raises(AdbError, match="change the cable") as caught:
        PhoneStore(phone.adb).put(model)
    assert caught.value.reason == "damaged_on_phone"
    assert not phone.stored


def test_a_full_phone_gives_up_what_earlier_jobs_left(phone, model, tmp_path):
    store = PhoneStore(phone.adb)
    old, kept = tmp_path / "old", tmp_path / "kept"
    old.write_text("old")
    kept.write_text("kept")
    store.put(old)
    kept_remote = store.put(kept)
    phone.write("/full", "once")
    store.put(model, keep=(kept_remote,))
    assert phone.stored == {digest_of(model), digest_of(kept)}


def test_a_full_phone_is_not_taken_for_one_that_is_gone_by_a_folder_of_this_machine(phone, tmp_path):
    folder = tmp_path / "closed" / "offline" / "not found"
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_text("x")
    phone.write("/full", "always")
    with pytest.raises(AdbError, match="free some space") as caught:
        PhoneStore(phone.adb).put(folder / "model.tflite")
    assert caught.value.reason == "phone_full"


def test_a_phone_that_stays_full_says_so(phone, model):
    phone.write("/full", "always")
    with pytest.raises(AdbError, match="free some space") as caught:
        PhoneStore(phone.adb).put(model)
    assert caught.value.reason == "phone_full"


def test_a_folder_that_cannot_be_made_is_named(phone, model):
    (phone.root / "data/local/tmp/steelyard").write_text("a file in the way")
    with pytest.raises(AdbError, match="cannot keep files in /data/local/tmp/steelyard") as caught:
        PhoneStore(phone.adb).put(model)
    assert caught.value.reason == "phone_refuses"


def test_two_jobs_that_want_the_same_file_send_it_once(phones, phone, model):
    store = PhoneStore(phone.adb)
    with ThreadPoolExecutor(4) as pool:
        remotes = set(pool.map(store.put, [model] * 4))
    assert remotes == {f"{PHONE_FOLDER}/{digest_of(model)}"}
    assert len(phones.calls("push")) == 1
