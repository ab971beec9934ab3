"""What ``steelyard-agent measure`` can be asked, beside the flags of modes."""

from __future__ import annotations

import argparse
from pathlib import Path

from steelyard_agent.cli.mode_arguments import DEFAULT_ROUNDS, add_mode_arguments
from steelyard_agent.cores import CoreSelection, parse_core_list

_CORE_KINDS = {"big": CoreSelection.BIG, "little": CoreSelection.LITTLE}
_DEFAULT_BLOCK_TIMEOUT_S = 60.0


def add_measure_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the command, those of modes among them."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="an .onnx or .tflite file")
    parser.add_argument(
        "--rounds",
        type=_positive,
        help=f"fresh processes to measure in (default: {DEFAULT_ROUNDS}, and 1 for a curve)",
    )
    _add_runtime_arguments(parser)
    add_mode_arguments(parser)
    parser.add_argument(
        "--block-timeout",
        type=_positive_number,
        default=_DEFAULT_BLOCK_TIMEOUT_S,
        metavar="S",
        help=f"seconds without progress in one process, at most (default: {_DEFAULT_BLOCK_TIMEOUT_S:g})",
    )
    parser.add_argument(
        "--memory-limit", type=_positive, metavar="MIB", help="largest resident set (default: most of what is free)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON with a schema version")
    parser.add_argument(
        "--state-directory", type=Path, metavar="DIR", help="the agent's, where runtime environments stand"
    )


def _add_runtime_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says how the model is run."""
    parser.add_argument("--threads", type=_positive, help="threads within an operator (default: the runtime's)")
    parser.add_argument(
        "--runtime",
        default="",
        metavar="NAME[@ENV]",
        help="onnxruntime, litert, openvino, tflite-runtime or a plugin, in a runtime environment where one is named "
        "(default: by the file's name)",
    )
    parser.add_argument(
        "--provider",
        action="append",
        default=[],
        metavar="P",
        help="execution provider or delegate: NAME or NAME:key=value,...; repeat for more, in order",
    )
    parser.add_argument(
        "--allow-fallback", action="store_true", help="measure also when part of the model runs elsewhere"
    )
    parser.add_argument(
        "--cores",
        type=_cores,
        default=(),
        metavar="big|little|0-3,6",
        help="cores that the measured process is pinned to (default: none)",
    )
    parser.add_argument(
        "--shape",
        action="append",
        type=parse_shape,
        default=[],
        metavar="NAME=1x3x224x224",
        help="size of a dynamic input; repeat for more",
    )
    parser.add_argument(
        "--graph-optimization", choices=("disabled", "basic", "extended", "all"), help="default: the runtime's"
    )
    parser.add_argument("--no-spinning", action="store_true", help="let idle threads of the runtime sleep")
    parser.add_argument("--no-arena", action="store_true", help="no memory arena")


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Read ``NAME=1x3x224x224``.

    Raises:
        argparse.ArgumentTypeError: It is something else.
    """
    name, _, sizes = text.rpartition("=")
    parts = sizes.split("x")
    if not name or not all(part.isascii() and part.isdigit() and 0 < int(part) < 2**31 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=1x3x224x224")
    return name, tuple(int(part) for part in parts)


def _cores(text: str) -> CoreSelection | tuple[int, ...]:
    """Read a kind of cores, or a list of their numbers."""
    if text in _CORE_KINDS:
        return _CORE_KINDS[text]
    try:
        return parse_core_list(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not big, little or cores such as 0-3,6") from None


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _positive_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    # A NaN or an endless time-out fails the comparison as well.
    if not 0 < value < 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0 and below a day")
    return value
