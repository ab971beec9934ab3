"""The plots of one measurement as cards: a heading, a sentence that says how to read it, and the plot in two widths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from steelyard.report.charts.costs import draw_costs
from steelyard.report.charts.curves import draw_curves
from steelyard.report.charts.distributions import draw_distributions, draw_responses
from steelyard.report.charts.energy import draw_energy, energy_bars
from steelyard.report.charts.memory import draw_memory
from steelyard.report.charts.operators import draw_operators, provider_style, providers_of
from steelyard.report.charts.rounds import draw_rounds
from steelyard.report.charts.series import Series, make_series
from steelyard.report.charts.speedups import draw_speedups
from steelyard.report.charts.steps import draw_steps
from steelyard.report.charts.tradeoff import draw_tradeoff, has_accuracy
from steelyard.report.energy import energy_tables
from steelyard_protocol.v1 import measurement_pb2

# Inner widths of a card in px: seven and five columns of twelve at 1280, and a phone of 390.
_MAIN_PX, _SIDE_PX, _PHONE_PX = 640.0, 424.0, 326.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A plot with its words.

    ``is_main`` gives it the wider column, ``order`` its place where there is one column only; ``legend`` is pairs of a
    style and its meaning.
    """

    title: str
    caption: str
    wide: Markup
    narrow: Markup
    is_main: bool
    order: int
    legend: tuple[tuple[str, str], ...] = ()


def make_cards(measurement: measurement_pb2.Measurement, *, name: str) -> tuple[Card, ...]:
    """Return the cards that there is data for; ``name`` makes their ids unique in the page."""
    series = make_series(measurement)
    cards = (
        _tradeoff(series, f"{name}-tradeoff"),
        _card(
            "Speed-up",
            "Reference over variant, paired by round; right of 1x is faster. Whiskers are the interval, and a pale bar "
            "is a difference that is not proven.",
            draw_speedups,
            series,
            f"{name}-speedup",
        ),
        *_mode_cards(series, name),
        _card(
            "Latency distributions",
            "Every timed inference, pooled. The solid line is p50, the dashed one p90; the axis leaves out the "
            "slowest 2 % of samples.",
            draw_distributions,
            series,
            f"{name}-latency",
            is_main=True,
        ),
        _card(
            "Round by round",
            "p50 of each round against the variant's own median, \N{PLUS-MINUS SIGN}2 % shaded. A round is a fresh "
            "process; a dashed line is where the measurement was interrupted.",
            draw_rounds,
            series,
            f"{name}-rounds",
        ),
        *_cost_cards(measurement, series, name),
    )
    kept = [card for card in cards if card is not None]
    return tuple(replace(card, order=order) for order, card in enumerate(kept))


def _mode_cards(series: Sequence[Series], name: str) -> tuple[Card | None, ...]:
    """Return what only one mode has, each drawn where there is data for it."""
    return (
        _card(
            "Under sustained load",
            "The median of each point of the last curve. Heat shows as latency that rises while the clock falls; "
            "the ends are compared in the table below.",
            draw_curves,
            series,
            f"{name}-curves",
            is_main=True,
        ),
        _card(
            "Response times",
            "From the moment at which an arrival was due to its answer, pooled: what a queue adds is in it. The solid "
            "line is p50, the dashed one p90; arrivals that never began are counted in the table below.",
            draw_responses,
            series,
            f"{name}-responses",
            is_main=True,
        ),
        _card(
            "Steps of a sequence",
            "Each sequence begins with a state of zeros. A line that bends upwards is a state that grows.",
            draw_steps,
            series,
            f"{name}-steps",
            is_main=True,
        ),
    )


def _cost_cards(
    measurement: measurement_pb2.Measurement, series: Sequence[Series], name: str
) -> tuple[Card | None, ...]:
    """Return what a variant takes beside time, and where its time goes."""
    return (
        _card(
            "Memory by phase",
            "Resident set of the worker process, median over the rounds; the peak is the highest since the runtime "
            "was loaded.",
            draw_memory,
            series,
            f"{name}-memory",
            is_main=True,
            legend=(("own", "anonymous"), ("mapped", "mapped from files"), ("peak", "peak")),
        ),
        _card(
            "What ran where",
            "The longest operators by the runtime's own profiler, in a run of its own; the colour is what they ran on. "
            "A profiler slows a model down: read the shares, not the sums.",
            draw_operators,
            series,
            f"{name}-operators",
            legend=tuple((provider_style(place), provider) for place, provider in enumerate(providers_of(series))),
        ),
        _card(
            "Energy",
            "Gross joules of an inference with their interval, by source; sources of different scope are not compared. "
            "The pale part is what the device takes when idle.",
            draw_energy,
            energy_bars(energy_tables(measurement), series),
            f"{name}-energy",
            legend=(("mapped", "idle"), ("own", "above idle")),
        ),
        _card(
            "Size and start-up",
            "What is paid once, before the first answer.",
            draw_costs,
            series,
            f"{name}-costs",
        ),
    )


def _tradeoff(series: Sequence[Series], name: str) -> Card | None:
    if len(series) > 1 and not has_accuracy(series) and len({one.variant.size_bytes for one in series}) == 1:
        # One file under several settings: there is nothing that speed is traded for.
        return None
    if has_accuracy(series):
        score = series[0].score.name
        title = f"{series[0].score.title} against {_axis_words(series)}"
        caption = (
            "Whiskers are the intervals of both. Filled marks are on the Pareto front: no other variant is better "
            f"beyond the noise without being worse in latency, {score}, size, memory or energy, as far as these were "
            "measured. The ring is the variant that the decision names."
        )
    else:
        title = f"Size against {_axis_words(series)}"
        caption = "Accuracy was not measured, so file size stands in its place. Whiskers are the intervals."
    return _card(title, caption, draw_tradeoff, series, name, is_main=True)


def _axis_words(series: Sequence[Series]) -> str:
    words = series[0].time_words if series else "latency"
    return "latency" if words == "p50 latency" else words


def _card(
    title: str,
    caption: str,
    draw: Callable[..., Markup | None],
    series: Sequence[object],
    name: str,
    *,
    is_main: bool = False,
    legend: tuple[tuple[str, str], ...] = (),
) -> Card | None:
    wide = draw(series, name=f"{name}-wide", width=_MAIN_PX if is_main else _SIDE_PX)
    narrow = draw(series, name=f"{name}-narrow", width=_PHONE_PX)
    if wide is None or narrow is None:
        return None
    return Card(title=title, caption=caption, wide=wide, narrow=narrow, is_main=is_main, order=0, legend=legend)
