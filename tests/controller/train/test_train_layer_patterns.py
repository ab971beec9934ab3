"""Patterns that name layers: by either name, and never by none."""

from __future__ import annotations

import pytest

from steelyard.train.errors import TrainingInputError
from steelyard.train.layer_patterns import layers_matching

LAYERS = {"Conv_stem": "stem/conv", "Gemm_head": "head/gemm", "MatMul_query": "block/query"}


def test_a_layer_is_called_by_its_own_name_or_by_that_of_its_node() -> None:
    assert layers_matching(LAYERS, ("Conv_*", "head/*"), setting="prune: keep") == {"Conv_stem", "Gemm_head"}
    assert layers_matching(LAYERS, (), setting="prune: keep") == frozenset()


def test_a_pattern_that_matches_no_layer_is_a_misspelt_name() -> None:
    with pytest.raises(TrainingInputError, match=r"prune: keep has 'stm\*', which matches no layer.*stem/conv") as told:
        layers_matching(LAYERS, ("Conv_*", "stm*"), setting="prune: keep")
    assert told.value.reason == "unknown_layer"


def test_of_many_layers_some_are_shown() -> None:
    many = {f"Conv_{number}": f"conv{number}" for number in range(30)}
    with pytest.raises(TrainingInputError, match=r"conv11 and 18 more$"):
        layers_matching(many, ("nothing",), setting="qat: wide")
