"""What ``steelyard-agent`` can be asked."""

from __future__ import annotations

import argparse
from pathlib import Path

from steelyard_agent import __version__
from steelyard_agent.cli.measure_arguments import add_measure_arguments
from steelyard_agent.cli.membership_arguments import add_membership_commands
from steelyard_agent.errors import UsageError

_RUN_EXAMPLES = """\
examples:
  steelyard-agent run
  steelyard-agent run --controller 127.0.0.1:7433
  steelyard-agent run --controller 127.0.0.1:7433 --name kitchen-pi
  steelyard-agent run --controller 127.0.0.1:7433 --adb --benchmark-binary bench

Without --controller, every controller that this device joined (steelyard-agent enroll) is served. With it, one on this
machine's loopback, without certificates; to reach a board like that, run this on the controller's machine:
  ssh -R 7433:127.0.0.1:7433 USER@DEVICE
"""
_DOCTOR_EXAMPLES = """\
examples:
  steelyard-agent doctor
  steelyard-agent doctor --json
  sudo steelyard-agent doctor --fix
  sudo steelyard-agent doctor --undo
  sudo /opt/steelyard/current/bin/steelyard-agent doctor --as-service
"""
_MEASURE_EXAMPLES = """\
examples:
  steelyard-agent measure model.onnx
  steelyard-agent measure model.tflite --threads 4 --rounds 10
  steelyard-agent measure detector.onnx --shape images=1x3x640x640 --json
  steelyard-agent measure model.onnx --mode offline --batch 8
  steelyard-agent measure model.onnx --mode paced --rate 20 --no-spinning
  steelyard-agent measure model.onnx --mode sustained --duration 2m
  steelyard-agent measure lstm.onnx --mode stepwise --steps 1,16,64 --state h=hn --state c=cn
  steelyard-agent measure model.onnx --runtime openvino --cores big
"""
_ENVIRONMENT_EXAMPLES = """\
examples:
  steelyard-agent environment add tflite --python ~/tflite
  steelyard-agent environment list
  steelyard-agent environment remove tflite
"""
_PROFILE_EXAMPLES = """\
examples:
  steelyard-agent profile list
  steelyard-agent profile new -o my-board.toml
"""
_PROFILE_LIST_EXAMPLES = """\
examples:
  steelyard-agent profile list
  steelyard-agent profile list --profiles ./boards
"""
_PROFILE_SHOW_EXAMPLES = """\
examples:
  steelyard-agent profile show raspberry-pi-5
"""
_PROFILE_CHECK_EXAMPLES = """\
examples:
  steelyard-agent profile check my-board.toml
"""
_PROFILE_NEW_EXAMPLES = """\
examples:
  steelyard-agent profile new -o my-board.toml
  steelyard-agent profile new --from doctor-of-another-board.json
"""
_EXIT_STATUS = """\
exit status:
  0 fine; 2 usage; 3 something was not measured; 4 device or infrastructure;
  70 a bug of ours; 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; the chosen command is in ``command``, a callable that takes the parsed options."""
    parser = argparse.ArgumentParser(
        prog="steelyard-agent",
        description="Measures neural networks on this device, for a controller or by itself.",
        epilog=_EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"steelyard-agent {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    add_membership_commands(commands, _add)
    _add_doctor(commands)
    _add_measure(commands)
    _add_environment(commands)
    _add_profile(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = _add(commands, "run", "serve controllers: dial them, and dial again whenever a link breaks", _RUN_EXAMPLES)
    run.add_argument(
        "--controller", metavar="HOST:PORT", help="one on loopback (default: every controller that this device joined)"
    )
    run.add_argument("--name", default="", help="what this device is called (default: its host name)")
    run.add_argument(
        "--state-directory", type=Path, metavar="DIR", help="where identity, blobs and unsent results are kept"
    )
    run.add_argument(
        "--adb",
        nargs="?",
        const="",
        metavar="SERIAL",
        help="stand for an Android phone on a cable; without SERIAL for the only one that is plugged in",
    )
    run.add_argument(
        "--benchmark-binary",
        type=Path,
        metavar="FILE",
        help="with --adb: TFLite's benchmark_model for the phone's processor",
    )
    run.add_argument(
        "--exit-with-stdin", action="store_true", help="end when standard input closes: the parent process is gone"
    )
    _add_profiles_folder(run)
    run.set_defaults(command=_run_command, idles=True)


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = _add(commands, "doctor", "say what this device can and cannot measure, and why", _DOCTOR_EXAMPLES)
    doctor.add_argument("--json", action="store_true", help="print JSON with a schema version")
    doctor.add_argument("--fix", action="store_true", help="offer what makes this device steadier, and change it")
    doctor.add_argument("--undo", action="store_true", help="put back what --fix changed")
    doctor.add_argument("--yes", action="store_true", help="change it without a question")
    doctor.add_argument(
        "--as-service", action="store_true", help="look as the installed service does: its user, its sandbox (root)"
    )
    doctor.add_argument(
        "--state-directory", type=Path, metavar="DIR", help="where the agent keeps its settings and what to undo"
    )
    _add_profiles_folder(doctor)
    doctor.set_defaults(command=_doctor_command)


def _add_measure(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    measure = _add(commands, "measure", "measure one model file with no controller", _MEASURE_EXAMPLES)
    add_measure_arguments(measure)
    measure.set_defaults(command=_measure_command)


def _add_environment(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    environment = _add(
        commands,
        "environment",
        "other Python interpreters of this device that models may be run under",
        _ENVIRONMENT_EXAMPLES,
    )
    actions = environment.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="action")
    add = _add(actions, "add", "look at an interpreter, say which runtimes it has, and keep it", _ENVIRONMENT_EXAMPLES)
    listing = _add(actions, "list", "list the environments that were added", _ENVIRONMENT_EXAMPLES)
    remove = _add(actions, "remove", "forget an environment; its files stay", _ENVIRONMENT_EXAMPLES)
    for parser in (add, remove):
        parser.add_argument("name", metavar="NAME", help="of the environment, as in --runtime RUNTIME@NAME")
    add.add_argument("--python", required=True, metavar="PATH", help="its interpreter, or its venv's folder")
    listing.add_argument("--json", action="store_true", help="print JSON with a schema version")
    for parser in (add, listing, remove):
        parser.add_argument(
            "--state-directory", type=Path, metavar="DIR", help="the agent's; environments are kept there"
        )
        parser.set_defaults(command=_environment_command)


def _add_profile(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    profile = _add(
        commands, "profile", "what is known of boards of a kind: list, show, check, draft", _PROFILE_EXAMPLES
    )
    actions = profile.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="action")
    listing = _add(actions, "list", "list the profiles that are shipped and yours", _PROFILE_LIST_EXAMPLES)
    show = _add(actions, "show", "show a profile, each entry with its source", _PROFILE_SHOW_EXAMPLES)
    show.add_argument("name", metavar="PROFILE", help="as the list has it")
    check = _add(actions, "check", "check a profile of yours against the schema", _PROFILE_CHECK_EXAMPLES)
    check.add_argument("file", type=Path, metavar="FILE", help="a .toml file")
    new = _add(actions, "new", "draft a profile from what this device says of itself", _PROFILE_NEW_EXAMPLES)
    new.add_argument("--output", "-o", type=Path, metavar="FILE", help="where to write (default: standard output)")
    new.add_argument("--force", action="store_true", help="overwrite the file")
    new.add_argument(
        "--from",
        dest="description",
        metavar="FILE",
        help="draft from what doctor --json printed on another device; - is standard input",
    )
    for parser in (listing, show):
        _add_profiles_folder(parser)
        parser.add_argument("--state-directory", type=Path, metavar="DIR", help="the agent's; yours lie in profiles/")
    for parser in (listing, show, check):
        parser.add_argument("--json", action="store_true", help="print JSON with a schema version")
    for parser in (listing, show, check, new):
        parser.set_defaults(command=_profile_command)


def _add_profiles_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profiles", type=Path, metavar="DIR", help="a folder with board profiles of yours (*.toml)")


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, purpose: str, examples: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--verbose", "-v", action="store_true", help="log more on standard error")
    parser.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="how logs are written; json has ids in each line"
    )
    return parser


def _run_command(options: argparse.Namespace) -> int:
    from steelyard_agent.cli.run import run
    from steelyard_agent.cli.run_options import from_namespace

    return run(from_namespace(options))


def _doctor_command(options: argparse.Namespace) -> int:
    if options.yes and not options.fix:
        raise UsageError("yes_to_nothing", "--yes answers the question of --fix; give both, or neither")
    if options.as_service and (options.fix or options.undo):
        raise UsageError("service_changes_nothing", "--as-service only looks: leave --fix and --undo out")
    if options.fix or options.undo:
        from steelyard_agent.cli.steady import steady

        return steady(options)
    from steelyard_agent.cli.doctor import doctor

    return doctor(options)


def _environment_command(options: argparse.Namespace) -> int:
    from steelyard_agent.cli.environment import environment

    return environment(options)


def _profile_command(options: argparse.Namespace) -> int:
    from steelyard_agent.cli.profile import profile

    return profile(options)


def _measure_command(options: argparse.Namespace) -> int:
    from steelyard_agent.cli.measure import measure

    return measure(options)
