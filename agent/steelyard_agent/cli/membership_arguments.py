"""What ``enroll``, ``controllers``, ``pause`` and ``resume`` can be asked."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

ENROLL_EXAMPLES = """\
examples:
  steelyard-agent enroll sy1-aeawxbpphx7xxnx6u56nfodgfsyzxpjsklbr5xlag6sm6fiorwviufrrhezc4mjwhaxdclrsga5donbugs7kio73
  steelyard-agent enroll CODE --name kitchen-pi
  steelyard-agent enroll -
  steelyard-agent enroll CODE --new-authority

The code comes from `steelyard device invite` on the controller's machine.
"""
CONTROLLERS_EXAMPLES = """\
examples:
  steelyard-agent controllers list
  steelyard-agent controllers forget 3f2b
"""
PAUSE_EXAMPLES = """\
examples:
  steelyard-agent pause
  steelyard-agent pause --for 2h
  steelyard-agent resume
"""

_Add = Callable[..., argparse.ArgumentParser]


def add_membership_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser], add: _Add) -> None:
    """Add the commands about controllers, and those that stop the device for all of them."""
    enroll = add(commands, "enroll", "join the controller that made a join code", ENROLL_EXAMPLES)
    enroll.add_argument("code", metavar="CODE", help="the join code; - reads it from standard input")
    enroll.add_argument("--name", default="", help="what this device would like to be called (default: its host name)")
    enroll.add_argument(
        "--new-authority",
        action="store_true",
        help="a controller that this device joined changed its authority: believe the code, and keep the key",
    )
    enroll.set_defaults(command=_enroll)
    controllers = add(commands, "controllers", "the controllers that this device joined", CONTROLLERS_EXAMPLES)
    actions = controllers.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="action")
    listing = add(actions, "list", "list them", CONTROLLERS_EXAMPLES)
    listing.add_argument("--json", action="store_true", help="print JSON with a schema version")
    forget = add(actions, "forget", "forget one, its key included", CONTROLLERS_EXAMPLES)
    forget.add_argument("controller", metavar="ID", help="as the list has it, or its first characters")
    for parser in (listing, forget):
        parser.set_defaults(command=_controllers)
    pause = add(commands, "pause", "take no work of any controller, from the next round on", PAUSE_EXAMPLES)
    pause.add_argument(
        "--for", dest="duration", metavar="DURATION", help='as in 90s, 30m, 2h, 1d (default: until "resume")'
    )
    resume = add(commands, "resume", "take work again", PAUSE_EXAMPLES)
    pause.set_defaults(command=_pause)
    resume.set_defaults(command=_resume)
    for parser in (enroll, listing, forget, pause, resume):
        parser.add_argument("--state-directory", type=Path, metavar="DIR", help="the agent's")


def _enroll(options: argparse.Namespace) -> int:
    from steelyard_agent.cli.enroll import enroll

    return enroll(options)


def _controllers(options: argparse.Namespace) -> int:
    from steelyard_agent.cli.enroll import controllers

    return controllers(options)


def _pause(options: argparse.Namespace) -> int:
    from steelyard_agent.cli.pause import pause

    return pause(options)


def _resume(options: argparse.Namespace) -> int:
    from steelyard_agent.cli.pause import resume

    return resume(options)
