"""`steelyard serve`."""

from __future__ import annotations

import asyncio
import signal

import click

from steelyard.cli.plugin_flag import plugin_flag
from steelyard.cli.session import say, settings_of


@click.command()
@plugin_flag
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Run a controller until it is interrupted: agents dial in on loopback, commands use its socket.

    A device elsewhere reaches it through a tunnel that this machine opens: ssh -R 7433:127.0.0.1:7433 USER@DEVICE

    \b
    Examples:
      steelyard serve
      steelyard --listen 127.0.0.1:7500 serve
      steelyard serve --plugin mine.py
    """
    from steelyard.control.controller import Controller

    settings = settings_of(ctx)

    async def run() -> None:
        controller = Controller(settings)
        await controller.start()
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        say(f"controller {controller.controller_id[:8]} in {controller.state_directory}")
        say(f"agents: steelyard-agent run --controller {controller.agent_address}")
        say(f"commands: --controller unix:{controller.socket_path}, or none on this machine")
        await ended.wait()
        say("ending; unfinished jobs go on with the next `steelyard serve`")
        await controller.stop()

    asyncio.run(run())
