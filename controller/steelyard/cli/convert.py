"""`steelyard convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from steelyard.cli.session import emit_json, say
from steelyard.cli.writing import writing

if TYPE_CHECKING:
    from steelyard.train.lift.lifted import LiftedModel

_SUFFIXES = {"tflite": ".tflite", "coreml": ".mlpackage"}


@click.command()
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False), metavar="MODEL")
@click.option("--to", "form", type=click.Choice(tuple(_SUFFIXES)), required=True, help="What to write.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where it is written (default: the model's name with .tflite or .mlpackage, here).",
)
@click.option("--force", is_flag=True, help="Write over what is there.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def convert(model: Path, form: str, output: Path | None, force: bool, as_json: bool) -> None:
    """Write a float ONNX model as TFLite or Core ML, and hold it against the model.

    TFLite takes one sample at a time, and pictures with channels last; static-int8 and the like take it from there.

    \b
    Examples:
      steelyard convert model.onnx --to tflite
      steelyard convert model.onnx --to coreml -o Model.mlpackage
    """
    from steelyard.errors import UsageError
    from steelyard.train.export.quiet import quiet_native_code
    from steelyard.train.lift import lift_checked

    out_path = output or Path(f"{model.stem}{_SUFFIXES[form]}")
    if out_path.exists() and not force:
        raise UsageError("output_exists", f"{out_path} is there already: name another file with -o, or add --force")
    say("reading the model")
    lifted = lift_checked(model)
    say(f"writing {out_path}")
    with writing(out_path), quiet_native_code():
        difference, reason, turned = _to_tflite(lifted, out_path) if form == "tflite" else _to_coreml(lifted, out_path)
    if as_json:
        emit_json(
            "convert",
            {
                "path": str(out_path),
                "form": form,
                "relative_difference": difference,
                "reason": reason,
                "channels_last": list(turned),
            },
        )
        return
    checked = reason if difference is None else f"largest difference {difference:.1e} of the largest output"
    click.echo(f"wrote {out_path} ({checked})" + (f"\nchannels last: {', '.join(turned)}" if turned else ""))


def _to_tflite(lifted: LiftedModel, path: Path) -> tuple[float | None, str, tuple[str, ...]]:
    from steelyard.train.export.example import interface_of
    from steelyard.train.export.tflite_file import export_tflite

    made = export_tflite(lifted.module, interface_of(lifted), path)
    return made.difference, "", made.channels_last


def _to_coreml(lifted: LiftedModel, path: Path) -> tuple[float | None, str, tuple[str, ...]]:
    from steelyard.train.export.coreml_package import export_coreml
    from steelyard.train.export.example import interface_of

    made = export_coreml(lifted.module, interface_of(lifted), path)
    return made.difference, made.reason, ()
