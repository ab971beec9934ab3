"""Import a program: trace it, write it as ONNX, and hold the file against the program."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from steelyard.train.errors import ExportError, ImportModelError
from steelyard.train.export.example import as_arguments, example_feed
from steelyard.train.export.onnx_program import OPSET, check_file, convert
from steelyard.train.export.program import trace
from steelyard.train.extras import need
from steelyard.train.importing.arguments import Given, matched
from steelyard.train.importing.inputs import ExampleInput
from steelyard.train.importing.programs import LoadedProgram, load_program

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What to import and where to; ``open_batch`` leaves the first axis of every input open."""

    source: str
    inputs: tuple[ExampleInput, ...]
    out_path: Path
    weights: Path | None = None
    allow_pickle: bool = False
    open_batch: bool = True
    opset: int = OPSET

    def __post_init__(self) -> None:
        """Refuse an import without inputs."""
        if not self.inputs:
            raise ImportModelError("invalid_input", "the program needs inputs to be traced with; give --input SIZES")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedModel:
    """A written model: ``difference`` is the largest relative one to the program, over several batches."""

    path: Path
    kind: str
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    parameter_count: int
    difference: float
    opset: int


def import_model(request: ImportRequest, *, progress: Progress) -> ImportedModel:
    """Write the program as ONNX.

    Raises:
        ImportModelError: the program cannot be loaded, or does not run with these inputs; or it cannot be traced or
            written, naming the operator and the line.
        ExportError: the file differs.
        ExtraMissingError: PyTorch or its exporter is not installed.
    """
    need("torch", what="importing a PyTorch program")
    need("onnxscript", what="writing ONNX")
    from steelyard.train.importing.trial import tried

    progress("loading the program")
    loaded = load_program(request.source, weights=request.weights, allow_pickle=request.allow_pickle)
    given = matched(request.inputs, loaded.arguments)
    _refuse_other_sizes(request, loaded, given)
    trial = tried(loaded.module, given, open_batch=request.open_batch)
    interface = trial.interface
    progress("tracing it")
    traceable = loaded.traceable(as_arguments(interface, example_feed(interface)), trial.keywords)
    with _told_to_its_author():
        program = trace(trial.called(traceable), interface)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.onnx"
        progress("writing ONNX")
        with _told_to_its_author():
            convert(program, interface, made, opset=request.opset)
        progress("comparing outputs")
        difference = check_file(made, trial.called(loaded.module), interface)
        request.out_path.write_bytes(made.read_bytes())
    return ImportedModel(
        path=request.out_path,
        kind=loaded.kind,
        input_names=interface.input_names,
        output_names=interface.output_names,
        parameter_count=sum(one.numel() for one in loaded.module.parameters()),
        difference=difference,
        opset=request.opset,
    )


@contextmanager
def _told_to_its_author() -> Iterator[None]:
    """Make of what cannot be exported an error of the program that was given, not one of this machine."""
    try:
        yield
    except ExportError as error:
        if error.reason != "axis_fixed":
            raise ImportModelError(error.reason, str(error)) from error
        told = str(error).partition("; ")[0]
        raise ImportModelError(
            "batch_fixed", f"{told}; write it for any size (x.shape[0], not len(x)), or add --fixed-batch"
        ) from error


def _refuse_other_sizes(request: ImportRequest, loaded: LoadedProgram, given: Sequence[Given]) -> None:
    """Hold the sizes that were given against those that a program was exported for.

    Raises:
        ImportModelError: batch_fixed: it takes one batch only; invalid_input: it takes other sizes.
    """
    for each, sizes in zip(given, loaded.input_sizes, strict=False):
        one, name = each.example, each.name
        told = "x".join("any" if size is None else str(size) for size in sizes)
        begin = 1 if request.open_batch else 0
        pairs = zip(one.shape[begin:], sizes[begin:], strict=False)
        if len(one.shape) != len(sizes) or any(own is not None and size != own for size, own in pairs):
            raise ImportModelError(
                "invalid_input",
                f"the program was exported with {told} for {name}, and {'x'.join(map(str, one.shape))} was given; give "
                f"--input {'x'.join(str(size or 1) for size in sizes)}",
            )
        if request.open_batch and sizes and sizes[0] is not None:
            raise ImportModelError(
                "batch_fixed",
                f"the program was exported for a batch of {sizes[0]} alone; add --fixed-batch to keep it "
                f"(--input {told}), or export it with its first size open (dynamic_shapes of torch.export.export)",
            )
