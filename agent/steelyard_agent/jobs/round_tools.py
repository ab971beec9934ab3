"""What rounds are run with, and how an agent that idles does without: nothing of it is imported before a job comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.jobs.room import RoomPatience

if TYPE_CHECKING:
    from steelyard_agent.jobs.block_running import BlockRunner, EnergyWatch
    from steelyard_agent.jobs.pinning import Pin
    from steelyard_agent.jobs.preparation import Preparation
    from steelyard_agent.jobs.validity import ValidityTools
    from steelyard_agent.surroundings.contract import Surroundings


def _open_gate() -> ValidityTools:
    from steelyard_agent.jobs.validity import ValidityTools

    return ValidityTools()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTools:
    """What rounds are run with; tests give fakes.

    ``pin`` says which cores the next block runs on, ``preparation`` where what was compiled lies; ``surroundings`` are
    looked at before and after each block, ``energy_watch`` makes a watch for one block with the given cores kept free
    of the sampler.
    """

    run_block: BlockRunner
    surroundings: Surroundings
    pin: Pin
    preparation: Preparation
    energy_watch: Callable[[tuple[int, ...]], EnergyWatch]
    gate: QuietGate
    work_folder: Path
    # The interpreters of the other runtime environments of this device, by name.
    interpreters: Mapping[str, Path] = field(default_factory=dict)
    # By default every block may begin.
    validity: ValidityTools = field(default_factory=_open_gate)
    room: RoomPatience = field(default_factory=RoomPatience)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterTools:
    """The tools of an agent that has not run anything yet: what an idle one needs of them, and how they are made.

    ``make`` is called when the first job comes, on the event loop, and always returns the same tools.
    """

    gate: QuietGate
    work_folder: Path
    make: Callable[[], RoundTools]


def round_tools(tools: RoundTools | LaterTools) -> RoundTools:
    """Return the tools themselves, made now where they were not before."""
    return tools.make() if isinstance(tools, LaterTools) else tools
