"""From a suite's file to the suite: every key checked, every problem noted before the suite is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from steelyard.series.metric_rules import METRIC_RULES, Direction, MetricKind, MetricRule
from steelyard.spelling import meant
from steelyard.suites.errors import Problems
from steelyard.suites.inheritance import load_tables
from steelyard.suites.reading_slots import read_devices, read_models, read_runtimes, read_tasks
from steelyard.suites.suite import (
    BUILT_IN_SENTINEL,
    DEFAULT_BUDGET_S,
    SENTINEL_RUNTIME,
    MeasureSettings,
    NightSettings,
    Schedule,
    Suite,
)
from steelyard.suites.tables import Table

_TOP_KEYS = (
    *("suite", "model", "device", "devices", "runtime", "task"),
    *("metrics", "measure", "night", "notify", "heartbeat"),
)
_SUITE_KEYS = ("name", "extends", "description", "at", "timezone", "budget", "sentinel", "sentinel_runtime")
_METRIC_KEYS = ("enabled", "direction", "min_effect", "min_effect_abs", "confirm_effect", "p_value", "hard_limit")
_NIGHT_KEYS = (
    *("window", "device_wait", "confirm", "max_confirmations", "confirmation_share", "confirmation_rounds"),
    *("quarantine_drifted", "report_url"),
)
_MEASURE_KEYS = (
    *("min_rounds", "max_rounds", "sample_window", "block_timeout", "gate", "max_contention", "energy"),
    *("numeric_check", "meters"),
)


def load_suite(path: Path, environ: Mapping[str, str]) -> Suite:
    """Return the suite of a file, with those that it extends.

    Raises:
        SuiteError: it cannot be run; all problems that were found are in it, each with its place.
    """
    problems = Problems()
    tables, sources = load_tables(path, environ, problems)
    suite = read_suite(tables, sources, environ, problems)
    problems.refuse()
    return suite


def read_suite(
    tables: Mapping[str, Any], sources: tuple[Path, ...], environ: Mapping[str, str], problems: Problems
) -> Suite:
    """Return what merged tables say; what is wrong is noted, and its default stands in its place."""
    top = Table(tables, sources[0].name, problems)
    top.refuse_unknown(_TOP_KEYS)
    head = top.table("suite")
    head.refuse_unknown(_SUITE_KEYS)
    runtimes = read_runtimes(top)
    tasks = read_tasks(top)
    devices = read_devices(top, runtimes)
    return Suite(
        name=_name(head),
        folder=sources[0].parent,
        sources=sources,
        models=read_models(top, runtimes=runtimes, tasks=tasks, devices=devices),
        devices=devices,
        runtimes=runtimes,
        tasks=tasks,
        metrics=_metrics(top),
        schedule=_schedule(head),
        budget_s=head.duration("budget", DEFAULT_BUDGET_S),
        sentinel=head.text("sentinel", BUILT_IN_SENTINEL),
        sentinel_runtime=head.text("sentinel_runtime", SENTINEL_RUNTIME),
        measure=_measure(top.table("measure")),
        night=_night(top.table("night")),
        notify={name: table.raw() for name, table in top.tables("notify")},
        heartbeat=top.table("heartbeat").raw(),
    )


def _name(head: Table) -> str:
    name = head.text("name")
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name) is None:
        head.complain(
            "name", f'{name!r} is no name for a suite; write one of letters, digits, ".", "_" and "-": name = "shelf"'
        )
    return name


def _schedule(head: Table) -> Schedule:
    at, zone = head.text("at", Schedule().at), head.text("timezone")
    hours, colon, minutes = at.partition(":")
    right = colon and hours.isascii() and hours.isdigit() and minutes.isascii() and minutes.isdigit()
    if not right or int(hours) > 23 or int(minutes) > 59 or len(minutes) != 2:
        head.complain("at", f'{at!r} is no time of day; write one such as "02:00"')
    if zone and not _is_zone(zone):
        head.complain(
            "timezone", f'{zone!r} is no time zone that this machine knows; write one such as "Europe/Berlin"'
        )
    return Schedule(at=at, timezone=zone)


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _metrics(top: Table) -> dict[str, MetricRule]:
    rules = dict(METRIC_RULES)
    for name, table in top.tables("metrics"):
        if name not in METRIC_RULES:
            table.complain("", f"there is no metric {name!r}; {meant(name, METRIC_RULES)}")
            continue
        table.refuse_unknown(_METRIC_KEYS)
        if not table.flag("enabled", True):
            del rules[name]
            continue
        try:
            rules[name] = _rule(METRIC_RULES[name], table)
        except ValueError as error:
            table.complain("", str(error))
    return rules


def _rule(rule: MetricRule, table: Table) -> MetricRule:
    directions = [one.value for one in Direction if rule.kind is MetricKind.EXACT or one is not Direction.SAME]
    hard = table.amount("hard_limit", rule.hard_limit or 0.0, unit=rule.unit)
    return replace(
        rule,
        direction=Direction(table.choice("direction", rule.direction.value, directions)),
        minimum_effect=table.share("min_effect", rule.minimum_effect),
        minimum_effect_abs=table.amount("min_effect_abs", rule.minimum_effect_abs, unit=rule.unit),
        confirm_effect=table.share("confirm_effect", rule.confirm_effect),
        p_value=table.amount("p_value", rule.p_value, unit="number"),
        hard_limit=hard or None,
    )


def _measure(table: Table) -> MeasureSettings:
    table.refuse_unknown(_MEASURE_KEYS)
    usual = MeasureSettings()
    least = table.count("min_rounds", usual.min_rounds, low=3, high=1000)
    most = table.count("max_rounds", max(usual.max_rounds, least), low=3, high=1000)
    if least > most:
        table.complain("max_rounds", f"at most {most} rounds are fewer than at least {least}; swap them")
    window = table.duration("sample_window", usual.sample_window_s)
    if not 0.01 <= window <= 60.0:
        table.complain("sample_window", f"{window:g} s is not between 10 ms and 60 s")
    timeout = table.duration("block_timeout", usual.block_timeout_s)
    if not 1.0 <= timeout <= 3600.0:
        table.complain("block_timeout", f"{timeout:g} s is not between 1 s and 1 h")
    return MeasureSettings(
        min_rounds=least,
        max_rounds=most,
        sample_window_s=window,
        block_timeout_s=timeout,
        gate=table.flag("gate", usual.gate),
        max_contention=table.share("max_contention", None),
        energy=table.flag("energy", usual.energy),
        numeric_check=table.flag("numeric_check", usual.numeric_check),
        meters=table.texts("meters"),
    )


def _night(table: Table) -> NightSettings:
    table.refuse_unknown(_NIGHT_KEYS)
    usual = NightSettings()
    share = table.share("confirmation_share", usual.confirmation_share)
    if share >= 1.0:
        table.complain("confirmation_share", "100 % of the budget for confirmations leaves nothing to confirm")
    return NightSettings(
        window_s=table.duration("window", usual.window_s),
        device_wait_s=table.duration("device_wait", usual.device_wait_s),
        confirm=table.flag("confirm", usual.confirm),
        max_confirmations=table.count("max_confirmations", usual.max_confirmations, low=0, high=10_000),
        confirmation_share=share,
        confirmation_rounds=table.count("confirmation_rounds", usual.confirmation_rounds, low=6, high=1000),
        quarantine_drifted=table.flag("quarantine_drifted", usual.quarantine_drifted),
        report_url=table.text("report_url"),
    )
