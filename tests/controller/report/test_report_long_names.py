"""Names in narrow columns: where they break, and that nothing of them is lost."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from steelyard.report.listings import render_artifacts
from steelyard.report.long_names import LongName
from steelyard_protocol.v1 import control_pb2


def printed(renderable: object, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(renderable)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_name_breaks_after_a_joint() -> None:
    assert printed(LongName("fashion_mobilenet-static-int8"), 20) == ["fashion_mobilenet-", "static-int8"]
    assert printed(LongName("fashion_mobilenet-static-int8"), 29) == ["fashion_mobilenet-static-int8"]


def test_a_recipe_breaks_between_its_settings_and_no_number_breaks() -> None:
    lines = ["net-prune,epochs=2,", "learning_rate=0.004-", "distill,epochs=1,", "width=0.5"]
    assert printed(LongName("".join(lines)), 20) == lines


def test_words_break_at_spaces() -> None:
    assert printed(LongName("digits by static-int8"), 10) == ["digits by", "static-", "int8"]


@given(st.text(alphabet="abcde05-_.,+=", min_size=1, max_size=60), st.integers(4, 40))
def test_nothing_of_a_name_is_lost(name: str, width: int) -> None:
    lines = printed(LongName(name), width)
    assert "".join(lines) == name
    assert max(map(len, lines)) <= width


def test_a_list_of_80_columns_keeps_words_whole() -> None:
    parent = control_pb2.Artifact(name="fashion_mobilenet", digest="a" * 64, size_bytes=900_000)
    made = control_pb2.Artifact(name="fashion_mobilenet-equalize-int8-careful", digest="b" * 64, size_bytes=230_000)
    made.lineage.parent_digest, made.lineage.recipe_name = parent.digest, "equalize-int8-careful"
    lines = printed(render_artifacts([made, parent]), 80)
    assert max(map(len, lines)) <= 80
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "fashion_mobilenet-",
        "equalize-int8-careful",
        "fashion_mobilenet",
    ]
