"""Load what people have of PyTorch: told apart by the file, and never unpickled without being asked."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.errors import first_line
from steelyard.train.errors import ImportModelError
from steelyard.train.export.quiet import quiet_exporters
from steelyard.train.importing.arguments import Arguments, arguments_of
from steelyard.train.importing.exported_program import load_exported
from steelyard.train.importing.python_file import module_of
from steelyard.train.importing.weights import load_weights, unpickled

# The argument of aten.batch_norm that says so.
_BATCH_NORM_TRAINS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedProgram:
    """A module to export, and what it takes; ``kind`` is a word for people.

    ``input_sizes``: for each input its sizes, None where one is open; () where it does not tell.
    """

    module: Any
    kind: str
    arguments: Arguments = field(default_factory=Arguments)
    input_sizes: tuple[tuple[int | None, ...], ...] = ()

    def traceable(self, arguments: tuple[Any, ...], keywords: Sequence[str]) -> Any:
        """Return what torch.export traces: the module, or what its own converter makes of TorchScript.

        ``keywords``: for each of its arguments the name that it is given by, "" for its place.

        Raises:
            ImportModelError: not_convertible.
        """
        import torch

        if not isinstance(self.module, torch.jit.ScriptModule):
            return self.module
        # torch's own and only way (its error names this class); not among its public names in 2.13.
        from torch._export.converter import TS2EPConverter

        try:
            with quiet_exporters(), torch.no_grad():
                positional = tuple(value for name, value in zip(keywords, arguments, strict=True) if not name)
                named = {name: value for name, value in zip(keywords, arguments, strict=True) if name}
                return TS2EPConverter(self.module, positional, named or None).convert().module()
        except (RuntimeError, ValueError, KeyError, TypeError, NotImplementedError, AssertionError) as error:
            raise ImportModelError(
                "not_convertible",
                f"torch cannot convert this TorchScript ({first_line(error)}); import its class as module.py:factory",
            ) from error


def load_program(source: str, *, weights: Path | None, allow_pickle: bool) -> LoadedProgram:
    """Load an ExportedProgram (.pt2), TorchScript, or ``module.py:factory``.

    Args:
        source: a path, or the path of a Python file, a colon, and the name of a callable in it without arguments.
        weights: a state dict for the factory's module.
        allow_pickle: whether files may run code as they are loaded; without, only tensors are read.

    Raises:
        ImportModelError: anything that keeps the program from being loaded.
    """
    path, _, factory = source.rpartition(":")
    if factory.isidentifier() and path.endswith(".py"):
        return _from_factory(Path(path), factory, weights, allow_pickle=allow_pickle)
    if source.endswith(".py"):
        raise ImportModelError(
            "no_factory", f"{source} names no callable in it; give {source}:NAME of one that returns the module"
        )
    if weights is not None:
        raise ImportModelError(
            "invalid_source", f"--weights is for module.py:factory, and {source} has weights of its own; leave it out"
        )
    return _from_file(Path(source), allow_pickle=allow_pickle)


def _from_file(path: Path, *, allow_pickle: bool) -> LoadedProgram:
    if not path.is_file():
        raise ImportModelError(
            "model_not_found", f"there is no file {path}; give a .pt2, a TorchScript file, or module.py:factory"
        )
    names = _archive_names(path)
    if any("/models/" in name or name.endswith("serialized_exported_program.json") for name in names):
        return _exported_program(path, allow_pickle=allow_pickle)
    if any("/code/" in name for name in names):
        return _torchscript(path)
    return _pickled(path, allow_pickle=allow_pickle)


def _archive_names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return []


def _exported_program(path: Path, *, allow_pickle: bool) -> LoadedProgram:
    from steelyard.train.importing.calling import Called, is_plain

    program = load_exported(path, allow_pickle=allow_pickle)
    _refuse_training(program, path)
    inputs = program.graph_signature.user_inputs
    # What is no name was given as a constant: None, mostly.
    names = tuple(one for one in inputs if isinstance(one, str))
    module, form = program.module(), program.call_spec.in_spec
    return LoadedProgram(
        module=module if is_plain(form, inputs) else Called(module, form=form, inputs=inputs),
        kind="ExportedProgram",
        arguments=Arguments(required=names),
        input_sizes=_sizes(program, names),
    )


def _refuse_training(program: Any, path: Path) -> None:
    for node in program.graph.nodes:
        if str(node.target).startswith("aten.batch_norm.") and node.args[_BATCH_NORM_TRAINS]:
            raise ImportModelError(
                "training_mode",
                f"{path} was exported while its module was training: its BatchNorm goes by each batch; call eval() on "
                "the module before torch.export.export",
            )


def _sizes(program: Any, names: tuple[str, ...]) -> tuple[tuple[int | None, ...], ...]:
    """Return the sizes of the inputs of an ExportedProgram; () where one of them is no tensor."""
    seen = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    if not all(hasattr(seen.get(name), "shape") for name in names):
        return ()
    return tuple(tuple(size if type(size) is int else None for size in seen[name].shape) for name in names)


def _torchscript(path: Path) -> LoadedProgram:
    import torch

    try:
        with quiet_exporters():
            module = torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        raise ImportModelError(
            "invalid_program", f"{path} cannot be loaded as TorchScript ({first_line(error)}); save it again"
        ) from error
    # The first is the module itself.
    own = module.forward.schema.arguments[1:]
    arguments = Arguments(
        required=tuple(one.name for one in own if not one.has_default_value()),
        optional=tuple(one.name for one in own if one.has_default_value()),
        by_name=frozenset(one.name for one in own if one.kwarg_only),
    )
    return LoadedProgram(module=module.eval(), kind="TorchScript", arguments=arguments)


def _pickled(path: Path, *, allow_pickle: bool) -> LoadedProgram:
    import torch

    if path.suffix == ".onnx":
        raise ImportModelError(
            "invalid_source", f"{path} is an ONNX model already; go on with steelyard compress or measure {path}"
        )
    if path.suffix == ".pt2":
        raise ImportModelError("invalid_program", f"{path} is no whole ExportedProgram; copy it or save it again")
    if not allow_pickle:
        raise ImportModelError(
            "bare_pickle",
            f"{path} is neither an ExportedProgram nor TorchScript: a pickle can run any code as it is loaded. Give "
            "its class as module.py:factory with --weights, or add --allow-pickle if you trust whoever made it",
        )
    made = unpickled(path)
    if not isinstance(made, torch.nn.Module):
        raise ImportModelError(
            "no_module", f"{path} holds a {type(made).__name__} and no module; give module.py:factory with --weights"
        )
    return LoadedProgram(module=made.eval(), kind="pickled module", arguments=arguments_of(made))


def _from_factory(path: Path, name: str, weights: Path | None, *, allow_pickle: bool) -> LoadedProgram:
    module = module_of(path, name)
    if weights is not None:
        load_weights(module, weights, allow_pickle=allow_pickle)
    return LoadedProgram(module=module.eval(), kind=f"{path.name}:{name}", arguments=arguments_of(module))
