"""Put the weights of a file into a module: a state dict, bare, in a checkpoint, or under the prefixes of wrappers."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.errors import first_line
from steelyard.train.errors import ImportModelError

# torch.compile puts this before what it wraps, wherever in the module that is.
_COMPILED = "_orig_mod."


def load_weights(module: Any, path: Path, *, allow_pickle: bool) -> None:
    """Load the state dict in a file into a module.

    A prefix under which all of the module's weights lie is left out: "module." of DataParallel, "model." of Lightning.

    Raises:
        ImportModelError: model_not_found, bare_pickle, no_state, weights_do_not_fit.
    """
    held = unpickled(path) if allow_pickle else _tensors(path)
    if not isinstance(held, Mapping):
        raise ImportModelError("no_state", f"{path} holds a {type(held).__name__} and no state dict; save that one")
    state = _unwrapped(_state_dict_of(held, path), module.state_dict(), path)
    try:
        module.load_state_dict(state)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ImportModelError(
            "weights_do_not_fit",
            f"the weights in {path} are not those of the module: {_misfit(module, state, error)}; give its own",
        ) from error


def unpickled(path: Path) -> Any:
    """Return what a pickle holds, which may run any code.

    Raises:
        ImportModelError: model_not_found, invalid_program.
    """
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except FileNotFoundError as error:
        raise _not_there(path) from error
    except (RuntimeError, pickle.UnpicklingError, AttributeError, ImportError, EOFError, OSError) as error:
        raise ImportModelError(
            "invalid_program",
            f"{path} cannot be unpickled ({type(error).__name__}: {first_line(error)}); its classes must be "
            "importable here: give module.py:factory with --weights instead",
        ) from error


def _tensors(path: Path) -> Any:
    import torch

    if path.suffix == ".safetensors":
        raise ImportModelError(
            "no_state",
            f"{path} is no file of torch; save it as one with torch.save(safetensors.torch.load_file({path.name!r}), "
            f"{path.stem + '.pt'!r})",
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise _not_there(path) from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        found = refused_class(error)
        what = f"holds more than tensors ({found})" if found else "holds more than tensors, or is no file of torch"
        raise ImportModelError(
            "bare_pickle",
            f"{path} {what}; save model.state_dict() alone, or add --allow-pickle if you trust whoever made it",
        ) from error


def refused_class(error: BaseException) -> str:
    """Return what torch found in a file beside tensors, "" where it names nothing."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return found.group(1) if found else ""


def _not_there(path: Path) -> ImportModelError:
    return ImportModelError("model_not_found", f"there is no file {path}; check --weights")


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
    return held if all(isinstance(key, str) for key in held) else {str(key): value for key, value in held.items()}


def _unwrapped(state: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Return the weights as the module calls them.

    Raises:
        ImportModelError: no_state: they are there several times, as those of a model and of its average are.
    """
    if not own or set(own) <= set(state):
        return state
    plain = {key.replace(_COMPILED, ""): value for key, value in state.items()}
    counts = Counter(key[:at] for key in plain for at in _begins(key) if key[at:] in own)
    most = max(counts.values(), default=0)
    found = sorted(prefix for prefix, count in counts.items() if count == most)
    if most == len(own) and len(found) > 1:
        raise ImportModelError(
            "no_state",
            f"{path} holds the module's weights several times (under {' and '.join(found)}); save the ones to use",
        )
    if len(found) != 1 or 2 * most <= len(own):
        return state
    return {key.removeprefix(found[0]): value for key, value in plain.items() if key.startswith(found[0])}


def _begins(key: str) -> list[int]:
    return [0, *(at + 1 for at, letter in enumerate(key) if letter == ".")]


def _misfit(module: Any, state: Mapping[str, Any], error: Exception) -> str:
    """Return in a few words what of a state dict does not fit."""
    from torch.nn.parameter import is_lazy

    own = module.state_dict()
    missing, unknown = ([key for key in a if key not in b] for a, b in ((own, state), (state, own)))
    other = [
        f"{key} of {_sizes(state[key])} for {_sizes(own[key])}"
        for key in own
        if hasattr(state.get(key), "shape") and not is_lazy(own[key]) and state[key].shape != own[key].shape
    ]
    parts = (("it lacks", missing), ("the module has no", unknown), ("it has", other))
    told = [f"{words} {_few(keys)}" for words, keys in parts if keys]
    return ", and ".join(told) or " ".join(str(error).split())[:300]


def _sizes(tensor: Any) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _few(keys: list[str]) -> str:
    shown = ", ".join(keys[:3])
    return shown if len(keys) <= 3 else f"{shown} and {len(keys) - 3} more"
