"""`steelyard meter`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.parameters import DURATION
from steelyard.cli.session import console, emit_json, say

if TYPE_CHECKING:
    from steelyard.meters.contract import MeterKind
    from steelyard.meters.probe import Probe


@click.group()
def meter() -> None:
    """Try and list the power meters that the controller can read while a device runs its energy pass."""


@meter.command("probe")
@click.argument("url", metavar="URL")
@click.option("--seconds", "duration_s", type=DURATION, default="3s", show_default=True, help="How long to read it.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def probe(url: str, duration_s: float, as_json: bool) -> None:
    """Read a meter for a few seconds.

    Shows its power, its rate, its scope, and what a measurement with it needs.

    The meter is read from this machine. A measurement reads it from the machine where the controller runs.

    \b
    Examples:
      steelyard meter probe shelly:http://192.168.1.20
      steelyard meter probe scpi:TCPIP0::192.168.1.30::INSTR --json
    """
    from steelyard.meters.probe import probe_meter
    from steelyard.meters.registry import checked_url

    kind, parts = checked_url(url)
    if not as_json:
        say(f"reading {url} for {duration_s:g} s")
    found = probe_meter(kind.make(parts), duration_s=duration_s)
    if as_json:
        emit_json("meter", {"meter": {"url": url, **_plain(kind, found)}})
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for term, text in _facts(kind, found):
        grid.add_row(term, Text(text))
    console().print(grid)


@meter.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def list_kinds(as_json: bool) -> None:
    """List the kinds of meters, and those plugged in here.

    What a kind needs and lacks here is said of each.

    Plugs in the network are not looked for: name them by their address.

    \b
    Example:
      steelyard meter list
    """
    from steelyard.meters.registry import kind_of, schemes

    kinds = [kind_of(scheme) for scheme in schemes()]
    records = [
        {
            "kind": one.scheme,
            "summary": one.summary,
            "example": one.example,
            "usable": not one.missing(),
            "reason": one.missing(),
            "found": one.find(),
        }
        for one in kinds
    ]
    if as_json:
        emit_json("meters", {"meters": records})
        return
    from rich.text import Text

    from steelyard.report.listings import plain_table

    table = plain_table()
    for name in ("kind", "what", "as"):
        table.add_column(name, overflow="fold")
    for one in kinds:
        table.add_row(Text(one.scheme), Text(one.summary), Text(one.example))
    out = console()
    out.print(table)
    for record in records:
        if record["reason"]:
            out.print(Text(f"{record['kind']}: {record['reason']}", style="dim"))
        for url in _texts(record["found"]):
            out.print(Text(f"found {url}"))


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _plain(kind: MeterKind, found: Probe) -> dict[str, Any]:
    facts = found.facts
    return {
        "kind": kind.scheme,
        "description": facts.description,
        "scope": facts.scope.value,
        "duration_s": found.duration_s,
        "sample_count": found.sample_count,
        "rate_hz": found.rate_hz,
        "mean_power_w": found.mean_power_w,
        "least_power_w": found.least_power_w,
        "most_power_w": found.most_power_w,
        "counted_energy_j": found.energy_j,
        "power_resolution_w": facts.power_resolution_w,
        "energy_resolution_j": facts.energy_resolution_j,
        "averaging_s": facts.averaging_s,
        "energy_window_s": kind.energy_window_s,
        "marker_pulse_s": kind.pulse_s,
    }


def _facts(kind: MeterKind, found: Probe) -> list[tuple[str, str]]:
    facts = found.facts
    power = "it tells none"
    if found.mean_power_w is not None:
        power = f"{found.mean_power_w:.4g} W ({found.least_power_w:.4g} to {found.most_power_w:.4g})"
    rate = f"{found.rate_hz:.3g} a second" if found.rate_hz is not None else "one sample, no rate"
    return [
        ("meter", facts.description),
        ("scope", facts.scope.value.lower().replace("_", " ")),
        ("power", power),
        ("samples", f"{found.sample_count} in {found.duration_s:g} s, {rate}"),
        ("power steps", _steps(facts.power_resolution_w, "W")),
        ("counter", "it has none" if found.energy_j is None else f"{found.energy_j / 3600:.6g} Wh"),
        ("counter steps", _steps(facts.energy_resolution_j, "J")),
        ("averaging", "not known" if facts.averaging_s is None else f"{facts.averaging_s:g} s"),
        ("a measurement", f"energy windows of {kind.energy_window_s:g} s, marker pulses of {kind.pulse_s:g} s"),
    ]


def _steps(value: float | None, unit: str) -> str:
    return "not known" if value is None else f"{value:g} {unit}"
