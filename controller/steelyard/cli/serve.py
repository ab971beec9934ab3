"""`steelyard serve`."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from steelyard.cli.plugin_flag import plugin_flag
from steelyard.cli.session import say, settings_of
from steelyard.errors import UsageError
from steelyard.listening import parse_listen

if TYPE_CHECKING:
    from steelyard.control.controller import Controller
    from steelyard.fleet.announcement import Announcement


@click.command()
@click.option(
    "--secure-listen",
    metavar="HOST:PORT",
    help="Also listen for devices and people with certificates, and enroll them on the next port.",
)
@click.option("--enroll-listen", metavar="HOST:PORT", help="Enroll devices on this port instead of the next one.")
@click.option(
    "--advertise",
    multiple=True,
    metavar="HOST",
    help="What devices are told to dial, best first; again for more. Else this machine's addresses.",
)
@click.option("--announce", is_flag=True, help="Suggest the addresses by mDNS, too.")
@click.option(
    "--metrics-listen",
    metavar="HOST:PORT",
    help="Answer Prometheus there (127.0.0.1:9433; loopback only); needs the extra `metrics`.",
)
@click.option(
    "--otlp-endpoint",
    metavar="URL",
    help="Send a trace of each job to this OpenTelemetry collector; needs the extra `tracing`.",
)
@plugin_flag
@click.pass_context
def serve(
    ctx: click.Context,
    secure_listen: str | None,
    enroll_listen: str | None,
    advertise: tuple[str, ...],
    announce: bool,
    metrics_listen: str | None,
    otlp_endpoint: str | None,
) -> None:
    """Run a controller until it is interrupted: agents dial in on loopback, commands use its socket.

    Devices elsewhere are invited (`steelyard device invite`) and come in by --secure-listen; without it they reach it
    through a tunnel that this machine opens: ssh -R 7433:127.0.0.1:7433 USER@DEVICE

    \b
    Examples:
      steelyard serve
      steelyard serve --secure-listen 0.0.0.0:7443
      steelyard serve --secure-listen 0.0.0.0:7443 --advertise lab.example.org --announce
      steelyard --listen 127.0.0.1:7500 serve
      steelyard serve --metrics-listen 127.0.0.1:9433
      steelyard serve --otlp-endpoint http://127.0.0.1:4318
      steelyard serve --plugin mine.py
    """
    from steelyard.control.controller import Controller
    from steelyard.fleet.allocator import tune_allocator

    tune_allocator()
    said = {"secure_listen": secure_listen, "enroll_listen": enroll_listen, "advertise": advertise}
    metrics_address = parse_listen(metrics_listen) if metrics_listen is not None else None
    settings = settings_of(ctx, {name: value for name, value in said.items() if value})

    async def run() -> None:
        controller = Controller(settings)
        await controller.start()
        try:
            ended = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, ended.set)
            async with AsyncExitStack() as stack:
                if announce:
                    await stack.enter_async_context(_announcement(controller))
                if metrics_address is not None:
                    from steelyard.observe.server import metrics_server

                    address = await stack.enter_async_context(metrics_server(controller, *metrics_address))
                    say(f"metrics: http://{address}/metrics")
                if otlp_endpoint is not None:
                    from steelyard.observe.tracing import tracing

                    await stack.enter_async_context(tracing(controller, otlp_endpoint))
                _say_doors(controller)
                await ended.wait()
            say("ending; unfinished jobs go on with the next `steelyard serve`")
        finally:
            await controller.stop()

    asyncio.run(run())


def _say_doors(controller: Controller) -> None:
    say(f"controller {controller.controller_id[:8]} in {controller.state_directory}")
    say(f"agents: steelyard-agent run --controller {controller.agent_address}")
    addresses, _ = controller.doors.addresses()
    if addresses:
        say(f"devices with certificates: {', '.join(addresses)}; `steelyard device invite` lets one in")
    say(f"commands: --controller unix:{controller.socket_path}, or none on this machine")


def _announcement(controller: Controller) -> Announcement:
    from steelyard.fleet.announcement import Announcement

    doors = controller.doors
    if not doors.secure_address:
        raise UsageError(
            "nothing_to_announce", "--announce has nothing to suggest without a port: add --secure-listen 0.0.0.0:7443"
        )
    return Announcement(
        controller_id=controller.controller_id,
        addresses=doors.addresses()[0],
        enroll_port=int(doors.enroll_address.rpartition(":")[2]),
    )
