"""`steelyard device power`."""

from __future__ import annotations

import click

from steelyard.cli.session import connected, emit_json, say
from steelyard.errors import UsageError
from steelyard_protocol.v1 import control_pb2, fleet_pb2

_ACTIONS = {
    "on": fleet_pb2.POWER_ACTION_ON,
    "off": fleet_pb2.POWER_ACTION_OFF,
    "cycle": fleet_pb2.POWER_ACTION_CYCLE,
}


@click.command("power")
@click.argument("name", metavar="DEVICE")
@click.argument("action", type=click.Choice(list(_ACTIONS)), required=False)
@click.option(
    "--switch", metavar="ADDRESS", help="shelly://HOST/0, tasmota://HOST or 'command:poe {action} 7'; keep it."
)
@click.option("--no-switch", is_flag=True, help="Forget its switch.")
@click.option(
    "--cycle-when-hung",
    "most",
    type=click.IntRange(0, 60),
    metavar="TIMES",
    help="Let the controller switch it off and on so often an hour where it hangs; 0, the default: never.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def device_power(
    ctx: click.Context,
    name: str,
    action: str | None,
    switch: str | None,
    no_switch: bool,
    most: int | None,
    as_json: bool,
) -> None:
    """Switch a device's supply off and on, or say by which switch.

    A device hangs when it falls silent while a job holds it and does not come back within 45 s. Every time stands in
    `steelyard device history`. A password for switches is read from STEELYARD_METER_PASSWORD where the controller runs.

    \b
    Examples:
      steelyard device power pi5 --switch shelly://192.168.1.20/0 --cycle-when-hung 3
      steelyard device power pi5 --switch 'command:poe {action} 7'
      steelyard device power pi5 cycle
      steelyard device power pi5 --no-switch
    """
    if (switch is not None) + no_switch + (action is not None) > 1:
        raise UsageError(
            "one_at_a_time", "--switch, --no-switch and an action are done one at a time: give one of them"
        )
    if no_switch and most is not None:
        raise UsageError("one_at_a_time", "--no-switch leaves nothing to cycle: leave --cycle-when-hung out")
    with connected(ctx) as client:
        if action is not None:
            device = client.fleet.switch_power(name, _ACTIONS[action])
        elif switch is not None or no_switch:
            device = client.fleet.set_power_switch(name, switch or "", most_cycles_an_hour=most or 0)
        elif most is not None:
            known = client.device(name).power_switch.address
            if not known:
                raise UsageError("no_power_switch", f"device {name} has no power switch: name it with --switch")
            device = client.fleet.set_power_switch(name, known, most_cycles_an_hour=most)
        else:
            device = client.device(name)
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("device", {"device": to_plain(device)})
        return
    say(_text(device, action))


def _text(device: control_pb2.Device, action: str | None) -> str:
    from steelyard.report.device_health import rule_facts

    name = device.description.name
    if action is not None:
        return f"device {name}: {'switched off and on again' if action == 'cycle' else f'switched {action}'}"
    return f"device {name}: {dict(rule_facts(device)).get('power', 'no power switch')}"
