"""A process whose clock and boot a file moves while it runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from tests.chaos.moved_world import World, read_world
from tests.chaos.node import Node
from tests.support.processes import wait_until

_DAY_S = 86_400


def test_a_process_follows_its_world_while_it_runs(tmp_path: Path) -> None:
    module = tmp_path / "clock_teller.py"
    module.write_text(
        "import sys\nfrom time import time, time_ns\nfor _ in sys.stdin:\n"
        "    print(time(), time_ns() // 10**9, sys.argv[1:], flush=True)\n"
    )
    world = tmp_path / "world"
    World(clock_offset_s=_DAY_S).write(world)
    command = [sys.executable, "-m", "tests.chaos.moved_world", str(world), "clock_teller", "argument"]
    environment = {"PYTHONPATH": f"{Path(__file__).parents[2]}:{tmp_path}"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for offset_s in (_DAY_S, -_DAY_S, 0):
            World(clock_offset_s=offset_s).write(world)
            process.stdin.write("\n")
            process.stdin.flush()
            now_s, whole_s, arguments = process.stdout.readline().split(maxsplit=2)
            assert abs(float(now_s) - time.time() - offset_s) < _DAY_S / 4
            assert abs(int(whole_s) - float(now_s)) < 60
            assert arguments.strip() == "['argument']"


def test_a_world_is_read_as_it_was_written(tmp_path: Path) -> None:
    world = World(clock_offset_s=-1.5, boot_id="another", detours={"10.0.0.1:7443": "127.0.0.1:9"})
    world.write(tmp_path / "world")
    assert read_world(tmp_path / "world") == world
    assert json.loads((tmp_path / "world").read_text())["clock_offset_s"] == -1.5


def test_a_world_leads_an_agent_elsewhere_shortens_certificates_and_plants_a_flaw() -> None:
    script = (
        "from tests.chaos.moved_world import World, differ\n"
        "world = World(detours={'10.0.0.1:7443': '127.0.0.1:9'}, certificate_life_s=45.0, flaw='ACKNOWLEDGES_FIRST')\n"
        "from steelyard_agent.link import channel\n"
        "dialled = []\n"
        "channel.open_secure_channel = lambda address, **others: dialled.append(address)\n"
        "differ(world, 'steelyard_agent')\n"
        "differ(world, 'steelyard')\n"
        "channel.open_secure_channel('10.0.0.1:7443', controller_name='x')\n"
        "channel.open_secure_channel('10.0.0.2:7443', controller_name='x')\n"
        "from steelyard.control.results import Results\n"
        "from steelyard.membership.terms import Terms\n"
        "print(dialled, Terms().device_life_ns, Results.record.__module__)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "['127.0.0.1:9', '10.0.0.2:7443'] 45000000000 tests.chaos.flaws", done.stderr


def test_an_agent_keeps_its_world_when_it_becomes_the_process_that_idles(tmp_path: Path) -> None:
    arguments = ["run", "--name", "board", "--state-directory", "{state}", "--controller", "127.0.0.1:9"]
    node = Node("board", tmp_path, "steelyard_agent", arguments, world=World(clock_offset_s=4000 * _DAY_S))
    year = datetime.fromtimestamp(time.time() + 4000 * _DAY_S, tz=timezone.utc).year
    try:
        node.start()
        wait_until(lambda: "no session with" in node.log.read_text())
        assert f"\n{year}-" in f"\n{node.log.read_text()}"
    finally:
        node.close()
