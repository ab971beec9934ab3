"""Whether a round that a device sent can be one: checked before it is recorded, since what is recorded is for good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from steelyard.control.mode_round_check import mode_nonsense
from steelyard.control.profile_round_check import profile_nonsense
from steelyard.control.round_words import nonsense_words, unknown_kinds
from steelyard.errors import SteelyardError
from steelyard_protocol.v1 import result_pb2

# A block has some dozens of each; a report shows all of them.
_MOST_ENTRIES = 1000
# Two months of latency, and more memory than any device has: beyond it sums leave the 64 bits that they travel in.
_LARGEST = 2**53
# What agents keep of a block at most (1 << 20, steelyard_agent.worker.stopwatch), with room.
_MOST_SAMPLES = 1 << 21


def refuse_nonsense(result: result_pb2.RoundResult) -> None:
    """Refuse a round that no device could have measured.

    Raises:
        SteelyardError: ``bad_round``, with the block and the value.
    """
    for name, time in (("started_at", result.started_at), ("finished_at", result.finished_at)):
        try:
            time.ToNanoseconds()
        except ValueError as error:  # noqa: PERF203 (two times, once a round)
            raise _bad(result, f"{name} is no time: {error}") from error
    if len(result.blocks) > _MOST_ENTRIES:
        raise _bad(result, f"it has {len(result.blocks)} blocks, more than {_MOST_ENTRIES}")
    for block in result.blocks:
        for nonsense in _block_nonsense(block):
            raise _bad(result, f"{block.label[:80]!r} {nonsense}")
    for nonsense in nonsense_words(result):
        raise _bad(result, nonsense)
    for unknown in unknown_kinds(result):
        raise SteelyardError(
            "bad_round",
            f"round {result.round_index} cannot be read ({unknown}, which is not known here): update the controller, "
            "or the agent where that is the older one",
        )
    if not result.pass_kind:
        raise _bad(result, "it is of no pass")


def _block_nonsense(block: result_pb2.BlockResult) -> Iterator[str]:
    """Yield what cannot be so of one block: "says latency_ns -3"."""
    for most, lists in ((_MOST_ENTRIES, _lists(block)), (_MOST_SAMPLES, _sample_lists(block))):
        for name, values in lists:
            if len(values) > most:
                yield f"has {len(values)} {name}, more than {most}"
    for name, value in _numbers(block):
        if not 0 <= value <= _LARGEST:
            yield f"says {name} {value}"
    for nonsense in (*profile_nonsense(block), *mode_nonsense(block)):
        yield f"has {nonsense}"
    for reading in block.readings:
        # Also of an energy: an uncertainty below 0 is none.
        least = 0.0 if reading.name.endswith("_uncertainty") else -_LARGEST
        if not least <= reading.value <= _LARGEST:
            yield f"says {reading.name[:40]} {reading.value}"
    if block.status == result_pb2.BLOCK_STATUS_OK and min(block.latency_ns, default=1) <= 0:
        yield f"says latency_ns {min(block.latency_ns)}"


def _sample_lists(block: result_pb2.BlockResult) -> Iterator[tuple[str, Sequence[object]]]:
    for name in ("latency_ns", "response_ns", "preprocessing_ns", "postprocessing_ns"):
        yield name, getattr(block, name)


def _lists(block: result_pb2.BlockResult) -> Iterable[tuple[str, Sequence[object]]]:
    return (
        ("notes", block.notes),
        ("readings", block.readings),
        ("circumstances", block.circumstances),
        ("placements", block.placements),
        ("providers", block.providers),
        ("sentences on throttling", (*block.throttle.evidence, *block.throttle.not_looked_at)),
        ("sentences on validity", (*block.validity.evidence, *block.validity.not_looked_at)),
        ("marker edges", block.energy_window.marker_edges_ns),
        ("memory phases", block.memory.phases),
    )


def _numbers(block: result_pb2.BlockResult) -> Iterator[tuple[str, float]]:
    for name in ("model_load_ns", "first_inference_ns", "warmup_ns", "build_ns", "wall_ns", "sample_count"):
        yield name, getattr(block, name)
    for name in ("waited_ms", "run_delay_ns", "steal_ns", "other_load"):
        yield f"{name} of its validity", getattr(block.validity, name)
    yield "latency_ns", max(block.latency_ns, default=0)
    for name in ("peak_resident_bytes", "least_available_bytes", "arena_bytes"):
        yield name, getattr(block.memory, name)
    for phase in block.memory.phases:
        for name in ("resident_bytes", "anonymous_bytes", "file_bytes", "shared_bytes"):
            yield f"{name} of phase {phase.name[:40]!r}", getattr(phase, name)


def _bad(result: result_pb2.RoundResult, what: str) -> SteelyardError:
    return SteelyardError("bad_round", f"round {result.round_index} makes no sense ({what}): update the agent there")
