"""What a plugin raises becomes a sentence that names it: a class of a plugin with its methods watched."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.compress.contract import StepReport
from steelyard.errors import SteelyardError, first_line
from steelyard.plugins.origin import Origin
from steelyard.plugins.roles import METRICS, ROLES, STEPS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@lru_cache(maxsize=256)
def guarded(role: str, found: type, origin: Origin) -> type:
    """Return a subclass of ``found`` whose making and whose methods raise a ``SteelyardError`` in place of any other.

    The same class for the same arguments: instances with the same settings are equal.
    """
    watch = _Watch(role, found, origin)

    def make(self: Any, *arguments: Any, **settings: Any) -> None:
        with watch.failures("cannot be made"):
            found.__init__(self, *arguments, **settings)  # type: ignore[misc]

    body: dict[str, Any] = {"__init__": make, "__slots__": (), "__module__": found.__module__, "__doc__": found.__doc__}
    for name in ROLES[role].methods:
        body[name] = watch.method(getattr(found, name))
    return type(found.__name__, (found,), body)


class _Watch:
    """What is said of the failures of one class."""

    def __init__(self, role: str, found: Any, origin: Origin) -> None:
        self._role = role
        self._name = f"the {ROLES[role].noun} {found.kind!r} of plugin {origin.name} ({origin.where})"

    def method(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method, watched, with what it returns looked at."""

        @functools.wraps(function)
        def call(instance: Any, *arguments: Any, **named: Any) -> Any:
            with self.failures("failed"):
                returned = function(instance, *arguments, **named)
            if self._role == STEPS:
                self._check_report(returned, named.get("out_path", arguments[1] if len(arguments) > 1 else None))
            if self._role == METRICS:
                return self._watched_answers(returned)
            return returned

        return call

    @contextmanager
    def failures(self, what: str) -> Iterator[None]:
        """Raise the error of the role for whatever is raised inside."""
        try:
            yield
        except SteelyardError:
            raise
        except Exception as error:
            # A full disk is told by whoever owns the folder.
            if self._role == STEPS and isinstance(error, OSError):
                raise
            raise self._failure(f"{what} ({type(error).__name__}: {first_line(error)})") from error

    def _failure(self, what: str) -> SteelyardError:
        return ROLES[self._role].error("plugin_failed", f"{self._name} {what}; report it to its author")

    def _check_report(self, report: object, out_path: Path | None) -> None:
        if not isinstance(report, StepReport):
            raise self._failure(f"returned {type(report).__name__} and no StepReport")
        if out_path is not None and not out_path.is_file():
            raise self._failure("wrote no model")
        with self.failures("reported settings that JSON cannot hold"):
            json.dumps(dict(report.settings))

    def _watched_answers(self, answers: Any) -> Any:
        # Answers of ours are known, and told apart by their class.
        if type(answers).__module__.startswith("steelyard."):
            return answers
        if not hasattr(answers, "sample_count") or not callable(getattr(answers, "value", None)):
            raise self._failure(f"returned {type(answers).__name__}, which has no sample_count and value")
        return _WatchedAnswers(answers, self)


class _WatchedAnswers:
    """A plugin's answers."""

    def __init__(self, answers: Any, watch: _Watch) -> None:
        self._answers = answers
        self._watch = watch

    @property
    def sample_count(self) -> int:
        with self._watch.failures("failed"):
            return int(self._answers.sample_count)

    def value(self, counts: NDArray[np.int64] | None = None) -> float | None:
        with self._watch.failures("failed"):
            found = self._answers.value(counts)
            return None if found is None else float(found)
