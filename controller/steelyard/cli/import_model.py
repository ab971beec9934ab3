"""`steelyard import`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from steelyard.cli.session import emit_json, say
from steelyard.cli.writing import writing


@click.command("import")
@click.argument("source", metavar="SOURCE")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    required=True,
    metavar="SIZES",
    help="An input to trace with, as 1x3x224x224 or tokens=1x128:int64; once for each, in order.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A state dict for the module that the factory returns; only tensors are read from it.",
)
@click.option("--allow-pickle", is_flag=True, help="Unpickle SOURCE or --weights, which can run any code.")
@click.option("--fixed-batch", is_flag=True, help="Keep the first size of every input as it is given.")
@click.option("--opset", type=click.IntRange(18, 24), default=20, show_default=True, help="Of the ONNX operators.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the model is written (default: the source's name with .onnx, here).",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def import_model(
    source: str,
    inputs: tuple[str, ...],
    weights: Path | None,
    allow_pickle: bool,
    fixed_batch: bool,
    opset: int,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Turn a PyTorch program into an ONNX model, and check that it computes the same.

    SOURCE is an ExportedProgram (.pt2), a TorchScript file, or a Python file and a callable in it that returns the
    module. Where something cannot be exported, the operator and the line of the source are named.

    \b
    Examples:
      steelyard import detector.pt2 --input 1x3x320x320
      steelyard import net.py:build --weights net.pt --input 1x3x224x224
      steelyard import encoder.ts --input ids=1x128:int64 -o encoder.onnx
    """
    from steelyard.errors import UsageError
    from steelyard.train.importing.importing import ImportRequest
    from steelyard.train.importing.importing import import_model as run_import
    from steelyard.train.importing.inputs import parse_input

    out_path = output or Path(f"{Path(source.partition('.py:')[0]).stem}.onnx")
    if out_path.exists() and not force:
        raise UsageError("output_exists", f"{out_path} is there already: name another file with -o, or add --force")
    request = ImportRequest(
        source=source,
        inputs=tuple(parse_input(text) for text in inputs),
        out_path=out_path,
        weights=weights,
        allow_pickle=allow_pickle,
        open_batch=not fixed_batch,
        opset=opset,
    )
    # What the program prints is none of the outcome.
    with writing(out_path), redirect_stdout(sys.stderr):
        made = run_import(request, progress=say)
    if as_json:
        emit_json(
            "import",
            {
                "path": str(made.path),
                "source_kind": made.kind,
                "inputs": list(made.input_names),
                "outputs": list(made.output_names),
                "parameter_count": made.parameter_count,
                "relative_difference": made.difference,
                "opset": made.opset,
            },
        )
        return
    source = made.kind if ":" in made.kind else f"the {made.kind}"
    click.echo(
        f"wrote {made.path}: {made.parameter_count:,} parameters, inputs {', '.join(made.input_names)}, outputs "
        f"{', '.join(made.output_names)}\nonnxruntime computes what {source} does "
        f"(largest difference {made.difference:.1e} of the largest output)\nnext: steelyard measure {made.path}"
    )
