"""``steelyard-agent doctor --fix`` and ``--undo``."""

from __future__ import annotations

import argparse
import json
import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap

from steelyard_agent.cli.device import this_system
from steelyard_agent.errors import UsageError
from steelyard_agent.state.directory import default_state_directory
from steelyard_agent.state.ownership import keeping_the_owner
from steelyard_agent.state.settings import SETTINGS_FILE, read_settings
from steelyard_agent.steadying.doing import LEDGER_FILE, Done, apply_offers, undo
from steelyard_agent.steadying.offers import Offer, find_offers, why_not_offered

SCHEMA_VERSION = 1
EXIT_FINE, EXIT_INCOMPLETE, EXIT_DEVICE = 0, 3, 4
_COLUMNS = 80


def steady(options: argparse.Namespace) -> int:
    """Offer what makes this device steadier and do it when told so, or undo it: 0 done, 3 left undone, 4 refused."""
    if options.fix and options.undo:
        raise UsageError("fix_and_undo", "--fix and --undo contradict each other; give one of them")
    state_root = (options.state_directory or _callers_state_directory(os.environ)).absolute()
    return _undo(options, state_root) if options.undo else _fix(options, state_root)


def _callers_state_directory(environ: Mapping[str, str]) -> Path:
    """Return the state directory of whoever called; under sudo that is not root's, which no agent would read."""
    caller = environ.get("SUDO_USER", "")
    if os.geteuid() == 0 and caller and caller != "root":
        try:
            return default_state_directory({}, Path(pwd.getpwnam(caller).pw_dir))
        except KeyError:
            # A user of a directory service that is not reachable: root's own folder is all that is left.
            return default_state_directory(environ, Path.home())
    return default_state_directory(environ, Path.home())


def _fix(options: argparse.Namespace, state_root: Path) -> int:
    system, settings = this_system(), read_settings(state_root)
    offers, left = find_offers(system, settings), why_not_offered(system, settings)
    if not options.json:
        print("\n".join(offer_lines(offers, left)))
    if not offers:
        return _tell(options, offers, left, [], EXIT_FINE)
    if not (options.yes or _agreed(options)):
        if not options.json:
            print("nothing was changed; --yes changes it without a question")
        return _tell(options, offers, left, [], EXIT_INCOMPLETE)
    with keeping_the_owner(state_root, (SETTINGS_FILE, LEDGER_FILE), user_id=os.geteuid()):
        done = apply_offers(system, offers, state_root)
    if not options.json:
        print("\n".join([*_done_lines(done), "undo it with: steelyard-agent doctor --undo"]))
    return _tell(options, offers, left, done, _exit_code(done))


def _undo(options: argparse.Namespace, state_root: Path) -> int:
    with keeping_the_owner(state_root, (SETTINGS_FILE, LEDGER_FILE), user_id=os.geteuid()):
        done = undo(this_system(), state_root)
    if not options.json:
        print("\n".join(_done_lines(done) or ["nothing to undo: no fix of this agent is in force"]))
    return _tell(options, (), (), done, _exit_code(done))


def offer_lines(offers: Sequence[Offer], left: Sequence[str]) -> list[str]:
    """Return the offers, and why the rest is ``left`` as it is, as plain text of at most 80 columns."""
    lines = ["Would be changed" if offers else "nothing to change"]
    for offer in offers:
        lines += wrap(f"{offer.name}: {offer.sentence}", _COLUMNS, initial_indent="  ", subsequent_indent="    ")
        lines += wrap(offer.effect, _COLUMNS, initial_indent="    ", subsequent_indent="    ")
    if offers and left:
        lines.append("Stays as it is")
    for sentence in left:
        lines += wrap(sentence, _COLUMNS, initial_indent="  ", subsequent_indent="    ")
    return lines


def _agreed(options: argparse.Namespace) -> bool:
    if options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return input("Change this? [y/N] ").strip().lower() in {"y", "yes"}


def _done_lines(done: Sequence[Done]) -> list[str]:
    return [line for one in done for line in wrap(one.sentence, _COLUMNS, subsequent_indent="  ")]


def _exit_code(done: Sequence[Done]) -> int:
    return EXIT_FINE if all(one.succeeded for one in done) else EXIT_DEVICE


def _tell(
    options: argparse.Namespace, offers: Sequence[Offer], left: Sequence[str], done: Sequence[Done], exit_code: int
) -> int:
    if options.json:
        listed = [{key: value for key, value in asdict(offer).items() if key != "settings"} for offer in offers]
        document = {
            "schema_version": SCHEMA_VERSION,
            "offers": listed,
            "not_offered": list(left),
            "done": [asdict(one) for one in done],
        }
        print(json.dumps(document, indent=2))
    return exit_code
