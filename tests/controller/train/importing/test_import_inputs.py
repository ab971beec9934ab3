"""Inputs as people type them."""

from __future__ import annotations

import pytest

from steelyard.train.errors import ImportModelError
from steelyard.train.importing.inputs import ExampleInput, parse_input


def test_sizes_a_name_and_a_type_are_read() -> None:
    assert parse_input("1x3x224x224") == ExampleInput(shape=(1, 3, 224, 224))
    assert parse_input("ids=1x128:int64") == ExampleInput(shape=(1, 128), dtype="int64", name="ids")


@pytest.mark.parametrize("text", ["", "3x", "1x3x224x224 ", "x=", "1,3", "0x3", "1x3:float8", "1x-1"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ImportModelError) as caught:
        parse_input(text)
    assert caught.value.reason == "invalid_input"
