"""Inputs find the arguments that they are."""

from __future__ import annotations

from typing import Any

import pytest

from steelyard.train.errors import ImportModelError
from steelyard.train.importing.arguments import Arguments, arguments_of, matched
from steelyard.train.importing.inputs import parse_input


def found(arguments: Arguments, *texts: str) -> list[tuple[str, str]]:
    return [(one.name, one.keyword) for one in matched([parse_input(text) for text in texts], arguments)]


def refused(arguments: Arguments, *texts: str) -> str:
    with pytest.raises(ImportModelError) as caught:
        found(arguments, *texts)
    assert caught.value.reason == "invalid_input"
    return str(caught.value)


class Program:
    def forward(self, ids: Any, mask: Any = None, kinds: Any = None, *, scale: Any = None) -> None: ...


class Open:
    def forward(self, *values: Any, **named: Any) -> None: ...


def test_names_are_those_given_then_the_programs_own_then_numbered() -> None:
    assert found(Arguments(required=("ids", "other")), "1", "mask=1") == [("ids", ""), ("mask", "")]
    assert found(Arguments(any_more=True), "1", "1") == [("x", ""), ("x_2", "")]


def test_an_argument_that_may_be_left_out_is_given_by_place_or_by_name() -> None:
    arguments = arguments_of(Program())
    assert found(arguments, "1x8") == [("ids", "")]
    assert found(arguments, "1x8", "1x8") == [("ids", ""), ("mask", "")]
    assert found(arguments, "kinds=1x8", "ids=1x8") == [("ids", ""), ("kinds", "kinds")]
    assert found(arguments, "1x8", "scale=1") == [("ids", ""), ("scale", "scale")]


def test_inputs_by_name_stand_in_the_programs_order() -> None:
    arguments = Arguments(required=("left", "right"), by_name=frozenset({"left", "right"}))
    assert found(arguments, "right=1", "left=1") == [("left", "left"), ("right", "right")]
    assert found(arguments_of(Open()), "left=1") == [("left", "left")]


def test_what_the_program_does_not_take_is_refused_with_what_it_takes() -> None:
    assert "takes 1 inputs (ids) and 2 were given" in refused(Arguments(required=("ids",)), "1", "1")
    told = refused(arguments_of(Program()), "1x8", "masc=1x8")
    assert "masc is no argument of the program, which takes 1 inputs (ids), perhaps mask, kinds, scale" in told
    assert "takes 1 inputs (ids), perhaps mask" in refused(arguments_of(Program()), "mask=1x8")
    assert "two inputs have one name" in refused(Arguments(required=("ids", "mask")), "mask=1", "mask=1")
