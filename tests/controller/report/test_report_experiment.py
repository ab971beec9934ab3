"""What is shown of an experiment: a table a metric, differences with their limits, a picture, a page, CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree as ET

from rich.console import Console

from steelyard.experiments.findings import ExperimentMetric, SeedFigure, find
from steelyard.experiments.record import DeviceMeasurement, ExperimentRecipe, ExperimentRecord, SeedTraining
from steelyard.report.experiment.page import render_experiment_page
from steelyard.report.experiment.picture import draw_experiment
from steelyard.report.experiment.table_csv import figures_csv
from steelyard.report.experiment.terminal import render_experiment
from steelyard.report.experiment.view import experiment_view

SCORE = ExperimentMetric(name="accuracy", device="pi5", unit="fraction", is_claimed=True)
TIME = ExperimentMetric(name="p50", device="pi5", unit="ns", is_claimed=False)
RECIPES = (
    ExperimentRecipe(name="prune", toml="a"),
    ExperimentRecipe(name="prune,importance=random", toml="b", baseline_of="prune"),
)
SCORES = {"prune": (0.90, 0.91, 0.905, 0.902, 0.908), "prune,importance=random": (0.85, 0.862, 0.853, 0.851, 0.86)}


def figure(recipe: str, seed: int, metric: ExperimentMetric, value: float, half: float) -> SeedFigure:
    return SeedFigure(
        recipe=recipe,
        seed=seed,
        digest=f"{recipe}{seed}",
        metric=metric,
        value=value,
        low=value - half,
        high=value + half,
        variance=0.0 if metric == SCORE else (half / 2) ** 2,
    )


FIGURES = [
    one
    for recipe, scores in SCORES.items()
    for seed, score in enumerate(scores)
    for one in (figure(recipe, seed, SCORE, score, 0.01), figure(recipe, seed, TIME, 2e6 + 1e4 * seed, 2e4))
]
RECORD = ExperimentRecord(
    recipes=RECIPES,
    trainings=tuple(SeedTraining(recipe=one.name, seed=seed, digest="d") for one in RECIPES for seed in range(5)),
    measurements=(DeviceMeasurement(device="pi5", job_id="j", digests=("d",)),),
)


def shown(figures: list[SeedFigure]) -> str:
    target = io.StringIO()
    console = Console(file=target, width=80)
    console.print(render_experiment(experiment_view("pruning", RECORD, find(RECIPES, figures), model_name="resnet")))
    return target.getvalue()


def test_an_experiment_fits_80_columns_and_says_what_it_rests_on() -> None:
    text = shown(FIGURES)
    assert max(map(len, text.splitlines())) <= 80
    assert "pruning: resnet, 2 recipes, seeds 0 to 4, on pi5" in text
    words = " ".join(text.split())
    # The mean of five scores, and the difference of the baseline from its recipe.
    assert "90.5 %" in words
    assert "+5.0 pp" in words or "5.0 pp" in words
    assert "cannot go below 0.0625 with so few seeds" in words


def test_long_recipes_are_told_apart_by_what_differs_and_stand_whole() -> None:
    more = ",epochs=1,sample_count=1000,round_to=1"
    kinds = ("", ",importance=random", ",importance=l1")
    recipes = tuple(ExperimentRecipe(name=f"prune{kind}{more}", toml="") for kind in kinds)
    figures = [
        figure(one.name, seed, SCORE, 0.9 + 0.01 * at + 0.001 * seed * at, 0.01)
        for at, one in enumerate(recipes)
        for seed in range(3)
    ]
    record = ExperimentRecord(recipes=recipes)
    target = io.StringIO()
    Console(file=target, width=80).print(
        render_experiment(experiment_view("pruning", record, find(recipes, figures), model_name="resnet"))
    )
    lines = [line.rstrip() for line in target.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    assert "every step of them with epochs=1,sample_count=1000,round_to=1" in lines
    assert [line.split()[0] for line in lines if line.split()[1:2] == ["3"]] == [
        "prune",
        *(f"prune{k}" for k in kinds[1:]),
    ]
    assert "prune,importance=l1 less prune" in target.getvalue()


def test_figures_that_are_the_same_on_two_devices_are_shown_and_tested_once() -> None:
    elsewhere = replace(SCORE, device="pi4")
    both = [*FIGURES, *(replace(one, metric=elsewhere) for one in FIGURES if one.metric == SCORE)]
    view = experiment_view("pruning", RECORD, find(RECIPES, both), model_name="resnet")
    assert list(view.tables) == ["accuracy on pi5, pi4", "p50 on pi5"]
    assert [one.title for one in view.differences] == ["accuracy on pi5, pi4"]
    assert any("of the one claim" in one for one in view.notes)


def test_the_page_has_a_row_for_each_figure_and_each_difference() -> None:
    view = experiment_view("pruning", RECORD, find(RECIPES, FIGURES), model_name="resnet")
    page = render_experiment_page(view, None)
    assert page.count('<th scope="row">') == 2 * len(RECIPES) + 1
    assert "accuracy on pi5" in page
    assert "<svg" not in page


def test_what_luck_may_have_made_is_said_to_be_so() -> None:
    same = [
        figure(name, seed, SCORE, 0.9 + 0.01 * ((seed + step) % 3), 0.01)
        for step, name in enumerate(SCORES)
        for seed in range(5)
    ]
    assert "1 of 1 differences cannot be told from luck" in " ".join(shown(same).split())


def test_the_picture_has_a_point_for_each_seed_and_an_interval_both_ways() -> None:
    drawn = draw_experiment("pruning", list(SCORES), FIGURES)
    assert drawn is not None
    root = ET.fromstring(drawn)
    lines = [one for one in root.iter("{http://www.w3.org/2000/svg}line") if one.get("class") == "error"]
    assert len(lines) == 2 * len(SCORES) * 5
    tips = [one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert sum("seed 3" in one for one in tips) == len(SCORES)


def test_no_picture_is_drawn_where_no_model_has_both_a_score_and_a_time() -> None:
    scores = [one for one in FIGURES if one.metric == SCORE]
    assert draw_experiment("pruning", list(SCORES), scores) is None


def test_the_page_stands_alone_and_escapes_names() -> None:
    findings = find(RECIPES, FIGURES)
    view = experiment_view("a<b", RECORD, findings, model_name="resnet")
    page = render_experiment_page(view, draw_experiment("a<b", list(SCORES), FIGURES))
    assert "<svg " in page
    assert "a&lt;b" in page
    assert "a<b" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_csv_has_a_row_for_each_figure() -> None:
    rows = list(csv.DictReader(io.StringIO(figures_csv(FIGURES))))
    assert len(rows) == len(FIGURES)
    assert (rows[0]["recipe"], rows[0]["metric"], float(rows[0]["value"])) == ("prune", "accuracy", 0.9)
