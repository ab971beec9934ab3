from __future__ import annotations

import pytest

from tests.support.fake_phone import FakePhone, FakePhones


@pytest.fixture
def phones(tmp_path) -> FakePhones:
    return FakePhones(tmp_path / "phones")


@pytest.fixture
def phone(phones) -> FakePhone:
    return phones.add()


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(range(200)))
    return path
