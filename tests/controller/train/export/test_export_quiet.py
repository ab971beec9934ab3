"""What exporters and compiled libraries write does not reach the output of a command."""

from __future__ import annotations

import logging
import os
import sys
import warnings

import pytest

from steelyard.train.export.quiet import quiet_exporters, quiet_native_code


def test_native_code_is_not_heard_and_standard_error_is_there_again(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_native_code():
        os.write(2, b"I0000 port.cc: oneDNN custom operations are on\n")
    os.write(2, b"said later\n")
    sys.stderr.write("written later\n")
    assert sorted(capfd.readouterr().err.splitlines()) == ["said later", "written later"]


def test_standard_error_is_there_again_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no form"), quiet_native_code():
        raise ValueError("no form")
    os.write(2, b"told\n")
    assert capfd.readouterr().err == "told\n"


def test_exporters_warn_and_log_into_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with quiet_exporters():
        warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
        logging.getLogger("torch.onnx").warning("a shape was specialized")
        sys.stdout.write("converting\n")
    assert capsys.readouterr() == ("", "")
