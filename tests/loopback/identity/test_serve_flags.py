"""`steelyard serve` with its ports, as a process of its own."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from tests.controller.cli.running import command_line, run_command, run_process
from tests.support.addresses import free_port, free_ports


def test_serve_says_where_devices_come_in_and_a_second_one_which_port_is_taken(tmp_path: Path) -> None:
    plain, secure, enroll, other = free_ports(4)
    ports = ("--secure-listen", f"127.0.0.1:{secure}", "--enroll-listen", f"127.0.0.1:{enroll}")
    words = ("--state-directory", tmp_path / "state", "--listen", f"127.0.0.1:{plain}", "serve", *ports)
    process = subprocess.Popen(command_line(*words), stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        lines = [next(process.stderr) for _ in range(4)]
        assert any(f"devices with certificates: 127.0.0.1:{secure};" in line for line in lines), lines
        invited = run_command("--state-directory", str(tmp_path / "state"), "device", "invite", "--json").document
        assert invited["invitation"]["addresses"] == [f"127.0.0.1:{enroll}"]
        second = ("--state-directory", tmp_path / "other", "--listen", f"127.0.0.1:{other}", "serve", *ports)
        assert "serve --secure-listen HOST:PORT" in run_process(*second).is_refused(4)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_there_is_nothing_to_announce_without_a_port(tmp_path: Path) -> None:
    port = free_port()
    words = ("--state-directory", tmp_path / "state", "--listen", f"127.0.0.1:{port}", "serve", "--announce")
    assert "add --secure-listen" in run_process(*words).is_refused()
