"""Load what people have of PyTorch: told apart by the file, and never unpickled without being asked."""

from __future__ import annotations

import importlib.util
import inspect
import pickle
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.errors import first_line
from steelyard.train.errors import ImportModelError
from steelyard.train.export.program import source_line
from steelyard.train.export.quiet import quiet_exporters
from steelyard.train.importing.exported_program import load_exported

_FACTORY_NAME = "_steelyard_imported"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedProgram:
    """A module to export. ``input_names`` are its own, () where it does not tell; ``kind`` is a word for people.

    ``input_sizes``: for each input its sizes, None where one is open; () where it does not tell.
    """

    module: Any
    kind: str
    input_names: tuple[str, ...] = ()
    input_sizes: tuple[tuple[int | None, ...], ...] = ()

    def traceable(self, arguments: tuple[Any, ...]) -> Any:
        """Return what torch.export traces: the module, or what its own converter makes of TorchScript.

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
                return TS2EPConverter(self.module, arguments).convert().module()
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
    program = load_exported(path, allow_pickle=allow_pickle)
    names = tuple(program.graph_signature.user_inputs)
    return LoadedProgram(
        module=program.module(), kind="ExportedProgram", input_names=names, input_sizes=_sizes(program, names)
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
    names = [one.name for one in module.forward.schema.arguments if one.name != "self" and not one.has_default_value()]
    return LoadedProgram(module=module.eval(), kind="TorchScript", input_names=tuple(names))


def _pickled(path: Path, *, allow_pickle: bool) -> LoadedProgram:
    import torch

    if not allow_pickle:
        raise ImportModelError(
            "bare_pickle",
            f"{path} is neither an ExportedProgram nor TorchScript: a pickle can run any code as it is loaded. Give "
            "its class as module.py:factory with --weights, or add --allow-pickle if you trust whoever made it",
        )
    made = _unpickled(path)
    if not isinstance(made, torch.nn.Module):
        raise ImportModelError(
            "no_module", f"{path} holds a {type(made).__name__} and no module; give module.py:factory with --weights"
        )
    return LoadedProgram(module=made.eval(), kind="pickled module", input_names=_argument_names(made))


def _unpickled(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (RuntimeError, pickle.UnpicklingError, AttributeError, ImportError, EOFError, OSError) as error:
        raise ImportModelError(
            "invalid_program",
            f"{path} cannot be unpickled ({type(error).__name__}: {first_line(error)}); its classes must be "
            "importable here: give module.py:factory with --weights instead",
        ) from error


def _from_factory(path: Path, name: str, weights: Path | None, *, allow_pickle: bool) -> LoadedProgram:
    import torch

    factory = getattr(_python_file(path), name, None)
    if not callable(factory):
        raise ImportModelError("no_factory", f"{path} has no callable {name}; name one that returns the module")
    try:
        module = factory()
    except Exception as error:
        raise ImportModelError(
            "factory_failed",
            f"{name} of {path} failed at {source_line(error)} ({type(error).__name__}: "
            f"{first_line(error)}); it is called without arguments",
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise ImportModelError(
            "no_module", f"{name} of {path} returned a {type(module).__name__}; return a torch.nn.Module"
        )
    if weights is not None:
        _load_weights(module, weights, allow_pickle=allow_pickle)
    return LoadedProgram(module=module.eval(), kind=f"{path.name}:{name}", input_names=_argument_names(module))


def _python_file(path: Path) -> Any:
    """Import a Python file under a name of ours, with its own folder importable, as ``python FILE`` has it."""
    spec = importlib.util.spec_from_file_location(_FACTORY_NAME, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ImportModelError("model_not_found", f"there is no Python file {path}; check the path")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules[_FACTORY_NAME] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ImportModelError(
            "factory_failed",
            f"{path} cannot be imported ({type(error).__name__}: {first_line(error)}); see {source_line(error)}",
        ) from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module


def _load_weights(module: Any, path: Path, *, allow_pickle: bool) -> None:
    held = _state(path, allow_pickle=allow_pickle)
    if not isinstance(held, Mapping):
        raise ImportModelError("no_state", f"{path} holds a {type(held).__name__} and no state dict; save that one")
    state = _state_dict_of(held, path)
    try:
        module.load_state_dict(state)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ImportModelError(
            "weights_do_not_fit",
            f"the weights in {path} are not those of the module: {_misfit(module, state, error)}; give its own",
        ) from error


def _state_dict_of(held: Mapping[Any, Any], path: Path) -> Mapping[str, Any]:
    """Return the state dict: what the file holds, or the one entry of a checkpoint that is a dict of tensors."""
    import torch

    inner = {
        str(key): value
        for key, value in held.items()
        if isinstance(value, Mapping) and value and all(isinstance(one, torch.Tensor) for one in value.values())
    }
    if "state_dict" in inner or len(inner) == 1:
        return inner.get("state_dict") or next(iter(inner.values()))
    if len(inner) > 1:
        raise ImportModelError(
            "no_state",
            f"{path} holds several state dicts ({', '.join(sorted(inner))}); save the one that belongs to the module",
        )
    return held


def _misfit(module: Any, state: Mapping[str, Any], error: Exception) -> str:
    """Return in a few words what of a state dict does not fit."""
    own = module.state_dict()
    missing, unknown = ([key for key in a if key not in b] for a, b in ((own, state), (state, own)))
    told = [f"{word} {_few(keys)}" for word, keys in (("it lacks", missing), ("the module has no", unknown)) if keys]
    return ", and ".join(told) or " ".join(str(error).split())[:300]


def _few(keys: list[str]) -> str:
    shown = ", ".join(map(str, keys[:3]))
    return shown if len(keys) <= 3 else f"{shown} and {len(keys) - 3} more"


def _state(path: Path, *, allow_pickle: bool) -> Any:
    import torch

    if allow_pickle:
        return _unpickled(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ImportModelError("model_not_found", f"there is no file {path}; check --weights") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ImportModelError(
            "bare_pickle",
            f"{path} holds more than tensors, or is no file of torch ({first_line(error)}); save model.state_dict(), "
            "or add --allow-pickle if you trust whoever made it",
        ) from error


def _argument_names(module: Any) -> tuple[str, ...]:
    """Return the names of the arguments of ``forward`` that have no default; () where it takes any."""
    parameters = list(inspect.signature(module.forward).parameters.values())
    if any(one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters):
        return ()
    return tuple(one.name for one in parameters if one.default is one.empty)
