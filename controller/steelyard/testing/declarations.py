"""What every contract asks of a class and of its settings."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from steelyard.plugins.checking import contract_problem
from steelyard.plugins.roles import ROLES


def check_declared(role: str, instance: Any) -> None:
    """Check the class of ``instance``, and that its settings survive JSON, which tasks and lineage keep them in."""
    found = type(instance)
    problem = contract_problem(role, getattr(found, "kind", None), found)
    assert not problem, f"{ROLES[role].noun} {found.__name__} {problem}"
    settings = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}
    try:
        told = json.loads(json.dumps(settings, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"the settings of {found.kind} cannot stand in JSON: {error}") from error
    again = found(**{key: _frozen(value) for key, value in told.items()})
    assert again == instance, f"{found.kind} made again of its settings {told} is {again!r}, not {instance!r}"


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
