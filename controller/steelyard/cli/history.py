"""`steelyard history`: a series over its nights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.session import connected, emit_json
from steelyard.cli.visible import visible
from steelyard.errors import UsageError

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.report.history.choice import SeriesChoice
    from steelyard.report.history.story import SeriesStory

# More are no overview any more, and each is a question to the controller.
_MOST_SERIES = 100


@click.command()
@click.option("--suite", default="", metavar="NAME", help="Of this suite; a pattern such as 'shelf*' fits several.")
@click.option("--model", default="", metavar="NAME", help="Of this model of the suite, or a pattern.")
@click.option("--device", default="", metavar="NAME", help="On this device, by name or id, or a pattern.")
@click.option("--runtime", default="", metavar="NAME", help="Under this runtime, or a pattern.")
@click.option("--metric", default="", metavar="NAME", help="This metric (p50, memory, accuracy), or a pattern.")
@click.option(
    "--last", type=click.IntRange(1, 4000), default=90, show_default=True, metavar="N", help="So many nights."
)
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Draw it into this file.")
@click.option("--json", "as_json", is_flag=True, help="Nights, changes and environments as JSON on stdout.")
@click.pass_context
def history(
    ctx: click.Context,
    suite: str,
    model: str,
    device: str,
    runtime: str,
    metric: str,
    last: int,
    svg: Path | None,
    as_json: bool,
) -> None:
    """Plot what a series was in its last nights, with its gaps and what changed; one line each where several fit.

    A change is one that was accepted, a device that was replaced, an entry of the environment that differs from the
    night before, or another level that the nightly analysis sees.

    \b
    Examples:
      steelyard history --model mobilenet --device pi5 --metric p50
      steelyard history --model 'mobilenet*' --metric p50 --last 365
      steelyard history --model mobilenet --device pi5 --metric p50 --svg p50.svg
      steelyard history --metric accuracy --json
    """
    from steelyard.report.history.choice import SeriesChoice

    choice = SeriesChoice(suite=suite, model=model, device=device, runtime=runtime, metric=metric)
    with connected(ctx) as client:
        stories = _stories(client, choice, last)
        environments = _environments(client, stories) if as_json else {}
    if as_json:
        emit_json("history", _plain(stories, environments))
    elif svg is not None:
        _write_picture(stories, svg)
    else:
        _print(stories)


def _stories(client: Client, choice: SeriesChoice, last: int) -> list[SeriesStory]:
    """Return the stories of the series that are meant.

    Raises:
        NotFoundError: ``no_series`` or ``series_not_found``.
        UsageError: ``too_many_series``.
    """
    from steelyard.report.history.story import tell

    meant = choice.of(client.nightly.series.find(choice.on_wire()))
    if not meant:
        raise choice.refusal(client.nightly.series.find())
    if len(meant) > _MOST_SERIES:
        named = sorted({one.key.metric for one in meant})
        raise UsageError(
            "too_many_series",
            f"{len(meant)} series are more than {_MOST_SERIES}: name a model, a device or a metric "
            f"({', '.join(named[:8])})",
        )
    days = {name: _days(client, name, last) for name in {one.key.suite_name for one in meant}}
    stories = []
    for one in meant:
        points = client.nightly.series.points(one.series_id, most=last)
        environments = client.nightly.series.environments([point.environment_id for point in points])
        stories.append(tell(one, points, environments=environments, days=days[one.key.suite_name]))
    return stories


def _days(client: Client, suite_name: str, last: int) -> dict[int, str]:
    """Return on which day the last nights of a suite began."""
    nights = client.nightly.nights(suite_name, most=last)
    return {one.night_number: one.started_at.ToJsonString()[:10] for one in nights}


def _environments(client: Client, stories: list[SeriesStory]) -> dict[int, dict[str, str]]:
    return client.nightly.series.environments([night.environment_id for one in stories for night in one.nights])


def _plain(stories: list[SeriesStory], environments: dict[int, dict[str, str]]) -> dict[str, Any]:
    from steelyard.nightly.report_json import plain

    return {
        "series": [plain(one) for one in stories],
        "environments": {str(number): entries for number, entries in environments.items()},
    }


def _write_picture(stories: list[SeriesStory], path: Path) -> None:
    from steelyard.cli.writing import write_text
    from steelyard.report.history.picture import MOST_SERIES, draw

    if len(stories) > MOST_SERIES:
        raise UsageError(
            "too_many_series", f"{len(stories)} series are more than a picture holds ({MOST_SERIES}): choose fewer"
        )
    write_text(path, draw(stories), next_step="name another place with --svg")
    click.echo(str(path))


def _print(stories: list[SeriesStory]) -> None:
    from steelyard.report.history.text_plot import ASCII, UNICODE, overview, plot

    glyphs = UNICODE if _can_show(f"{UNICODE.point}{UNICODE.bars}") else ASCII
    text = plot(stories[0], glyphs=glyphs) if len(stories) == 1 else overview(stories, glyphs=glyphs)
    for line in text.splitlines():
        click.echo(visible(line))


def _can_show(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
