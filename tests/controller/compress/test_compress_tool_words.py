"""Errors of libraries are told without codes, paths of ours and places in their sources."""

from __future__ import annotations

import pytest

from steelyard.compress.tool_words import tool_words

_SOURCE = "/onnxruntime_src/onnxruntime/core/graph/model_load_utils.h:46 void onnxruntime::Validate(const std::map<int>&, A(*)(int))"  # fmt: skip  # noqa: E501


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[ONNXRuntimeError] : 1 : FAIL : Load model from /a b/m.onnx failed:This is an invalid model. Error: x.",
            "This is an invalid model. Error: x",
        ),
        (f"[ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx failed:{_SOURCE} Opset 99 is new", "Opset 99 is new"),
        (f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Add: {_SOURCE} const axis was false", "Add: axis was false"),
        ("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : no Gemm(6)\nsecond line", "no Gemm(6)"),
        (_SOURCE, _SOURCE),
        ("plain words", "plain words"),
        ("", "RuntimeError"),
    ],
)
def test_what_went_wrong_is_left_of_an_error(text: str, told: str) -> None:
    assert tool_words(RuntimeError(text)) == told
