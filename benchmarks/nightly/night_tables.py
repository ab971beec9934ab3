"""The table of a simulated fleet's nights, and whether its targets are met. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.figures import Figure, Standing, binomial_share, standing, verdict_text
from benchmarks.nightly.fleet_plan import NIGHT_COUNT, PLANTED_EFFECT, PLANTED_SD, SERIES_COUNT
from benchmarks.results_file import Run
from benchmarks.table import Table

MOST_FALSE, LEAST_FIRST, LEAST_SECOND = 1 / 2000, 0.75, 0.90
OURS = "Steelyard, confirmed"
_PER = 2000


def table_of(run: Run, peers: Run | None, command: str) -> Table:
    """Return the figures of our run and, where there is one, of the other detectors'; a round a device."""
    rounds = run.rounds
    return Table(
        title="Nights of a simulated fleet",
        command=command,
        method=_method(rounds),
        run=run,
        head=[
            "detector",
            "false alarms",
            f"a {_PER:,} series-nights (95 %)",
            "found on the first night (95 %)",
            "by the second (95 %)",
            "in the end",
            "models of sick devices",
        ],
        rows=[_our_row(rounds), *_peer_rows(() if peers is None else peers.rounds)],
        verdicts=[*target_verdicts(rounds), sick_verdict(rounds), *_remarks(rounds)],
    )


def _method(rounds: Sequence[dict[str, Any]]) -> str:
    kinds = Counter(one["kind"] for one in rounds)
    named = ", ".join(f"{kinds[word]} {words}" for word, words in _KINDS.items() if kinds[word])
    return (
        f"No clock: {NIGHT_COUNT} nights of {len(rounds)} devices ({named}) with {SERIES_COUNT} series each, judged by "
        "the analysis that real nights use, whose confirmations are drawn from the same noise, within 15 minutes a "
        f"device and night at 4 s a round. {sum(one['planted'] for one in rounds)} series of healthy devices become "
        f"{PLANTED_EFFECT:.0%} slower for good; their nights differ by {PLANTED_SD:.1%} besides what their device "
        "does. The noise is described in docs/decisions/0027-series-over-nights.md. A false alarm names a series in "
        "which nothing changed; the other detectors alarm when they first report a change for the worse, run anew "
        "every night. Apache Otava and asv run in environments of their own."
    )


_KINDS = {
    "healthy": "healthy",
    "drifting": "slower every night",
    "jumped": "on another level from one night on",
    "ramps": "heating up within the session",
}


def counted(rounds: Sequence[dict[str, Any]]) -> Counter[str]:
    """Return the counts of our nights over all devices."""
    total: Counter[str] = Counter()
    for one in rounds:
        total.update(one["counts"])
    return total


def found(rounds: Sequence[dict[str, Any]], word: str) -> Figure:
    """Return the share of planted regressions that were confirmed on the "first", by the "second" night, or "ever"."""
    return binomial_share(sum(one["found"].get(word, 0) for one in rounds), sum(one["planted"] for one in rounds))


def false_share(rounds: Sequence[dict[str, Any]]) -> Figure:
    """Return the share of series-nights in which a regression was confirmed that is none."""
    counts = counted(rounds)
    return binomial_share(counts["confirmed, nothing there"], counts["series-nights"])


def _our_row(rounds: Sequence[dict[str, Any]]) -> list[str]:
    counts = counted(rounds)
    shares = [found(rounds, word) for word in ("first", "second", "ever")]
    sick = str(counts["model regressions on sick devices"])
    return [OURS, str(counts["confirmed, nothing there"]), _per(false_share(rounds)), *_shares(shares), sick]


def _peer_rows(rounds: Sequence[dict[str, Any]]) -> list[list[str]]:
    planted = sum(one["planted"] for one in rounds)
    made = []
    for name in rounds[0]["peers"] if rounds else ():
        total: Counter[str] = Counter()
        for one in rounds:
            total.update(one["peers"][name])
        shares = [binomial_share(total[word], planted) for word in ("first", "second", "ever")]
        rate = binomial_share(total["false"], total["quiet"])
        made.append([name, str(total["false"]), _per(rate), *_shares(shares), str(total["on sick devices"])])
    return made


def _per(share: Figure) -> str:
    assert share.low is not None
    assert share.high is not None
    return f"{share.value * _PER:.2f} ({share.low * _PER:.2f} to {share.high * _PER:.2f})"


def _shares(shares: Sequence[Figure]) -> list[str]:
    first, second, ever = shares
    return [_percent(first), _percent(second), f"{ever.value:.1%}"]


def _percent(share: Figure) -> str:
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"


def target_verdicts(rounds: Sequence[dict[str, Any]]) -> list[str]:
    """Return a sentence for each target: met where the whole exact interval (Clopper and Pearson) lies within it."""
    false = false_share(rounds)
    lines = [
        verdict_text(
            "Confirmed false alarms",
            f"at most 1 in {_PER:,} series-nights",
            standing(false, least=0.0, most=MOST_FALSE),
            f"{_per(false)} in {counted(rounds)['series-nights']:,} judged",
        )
    ]
    for word, words, least in (("first", "on the first night", LEAST_FIRST), ("second", "by the second", LEAST_SECOND)):
        share = found(rounds, word)
        stands = standing(share, least=least, most=1.0)
        lines.append(verdict_text(f"Planted, confirmed {words}", f"at least {least:.0%}", stands, _percent(share)))
    return lines


def sick_verdict(rounds: Sequence[dict[str, Any]]) -> str:
    """Return one sentence: whether every sick device got its line, and none of its models a regression."""
    sick = [one for one in rounds if one["kind"] != "healthy"]
    lines = [one["nights_to_line"] for one in sick if one["nights_to_line"] is not None]
    regressions = counted(sick)["model regressions on sick devices"]
    is_met = len(lines) == len(sick) and not regressions
    nights, sick_nights = sorted(lines), counted(sick)["device nights, planted"]
    chance = false_share(rounds).value * sick_nights * SERIES_COUNT
    when = f", after {nights[len(nights) // 2]} nights in the middle, {nights[-1]} at most" if nights else ""
    return verdict_text(
        "Sick devices",
        "each has a device line, and none a regression of a model",
        Standing.MET if is_met else Standing.MISSED,
        f"{len(lines)} of {len(sick)} have a line{when}; regressions of models that were confirmed: {regressions}, on "
        f"{sick_nights} of their nights, where chance would give {chance:.1f} at the rate of all nights",
    )


def _remarks(rounds: Sequence[dict[str, Any]]) -> list[str]:
    counts = counted(rounds)
    seconds = [night for one in rounds for night in one["confirmation_s"]]
    quiet = binomial_share(counts["device lines, quiet"], counts["device nights, quiet"])
    minutes = f"{sum(seconds) / len(seconds) / 60:.1f} minutes a device and night in the mean, {max(seconds) / 60:.1f}"
    effort = (
        f"{counts['candidates']:,} candidates, {counts['confirmations']:,} confirmations, "
        f"{counts['beyond the budget']:,} beyond the budget; {minutes} at most."
    )
    others = (
        f"Improvements confirmed where nothing changed: {counts['improved, nothing there']}. Device lines on nights "
        f"when the device was as ever: {_percent(quiet)}; the simulation runs something else beside one of a hundred "
        "sessions, the sentinel's among them."
    )
    return [effort, others]
