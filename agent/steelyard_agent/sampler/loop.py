"""The loop of the sampler: read every source, wait a jittered period, until told to stop. Standard library only."""

from __future__ import annotations

from collections.abc import Callable

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.power_source import SourceReader
from steelyard_agent.meters.sysfs import SourceError
from steelyard_agent.sampler.protocol import READY_LINE, RawSample, SamplerOrder, encode_sample

# Lines are handed over in batches, so that the agent wakes about once a second while something is measured.
_BATCH_NS = 1_000_000_000


def run_loop(
    order: SamplerOrder,
    *,
    system: System,
    wait_for_stop: Callable[[float], bool],
    emit: Callable[[str], None],
    spread: Callable[[], float],
) -> None:
    """Read until ``wait_for_stop(seconds)`` returns True; one last read follows, to see past the window's end.

    ``emit`` takes text of whole lines; ``spread`` returns numbers evenly between -1 and 1.
    """
    readers = [SourceReader(system, source) for source in order.sources]
    lines = [READY_LINE, *_read_all(readers, system)]
    last_emit_ns, stopped, first = system.clock_ns(), False, True
    while not stopped:
        if first or system.clock_ns() - last_emit_ns >= _BATCH_NS:
            emit("".join(f"{line}\n" for line in lines))
            lines, last_emit_ns, first = [], system.clock_ns(), False
        stopped = wait_for_stop(order.period_ms / 1000 * (1 + order.jitter_fraction * spread()))
        lines += _read_all(readers, system)
    emit("".join(f"{line}\n" for line in lines))
    for reader in readers:
        reader.close()


def _read_all(readers: list[SourceReader], system: System) -> list[str]:
    return [encode_sample(_read(index, reader, system)) for index, reader in enumerate(readers)]


def _read(index: int, reader: SourceReader, system: System) -> RawSample:
    before_ns = system.clock_ns()
    raw, reason = None, ""
    try:
        raw = reader.read_raw()
    except SourceError as error:
        reason = str(error)
    middle_ns = (before_ns + system.clock_ns()) // 2
    return RawSample(source_index=index, time_ns=middle_ns, raw=raw, reason=reason)
