"""The command before anything heavy is there: what is missing is said in one line."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from steelyard import __version__, entry

# What the base install of the agent does not bring.
WITHOUT_THE_EXTRA = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {names} else real(name, package)
sys.argv = ["steelyard", "demo"]
from steelyard.entry import main
main()
"""


def test_without_the_controllers_extra_it_says_the_pip_line() -> None:
    script = WITHOUT_THE_EXTRA.format(names=repr(set(entry._NEEDED)))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "steelyard: the controller is not installed here; run: pip install 'steelyard[controller]'"
    ]


@pytest.mark.parametrize("missing", entry._NEEDED)
def test_each_missing_part_is_enough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 2
    assert "pip install 'steelyard[controller]'" in capsys.readouterr().err


def test_an_old_python_is_told_which_one_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "3.11" in line
    assert "3.10" in line


def test_with_everything_there_the_command_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["steelyard", "--version"])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 0
    assert __version__ in capsys.readouterr().out


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "steelyard", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert __version__ in done.stdout


def test_term_and_a_closed_terminal_end_a_command_as_ctrl_c_does_unless_they_are_ignored() -> None:
    # In a process of its own: signals are everybody's, the threads of other tests' libraries included.
    script = """
import signal
from steelyard import entry
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
entry._end_as_interrupted()
assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
try:
    signal.raise_signal(signal.SIGTERM)
except KeyboardInterrupt:
    print("as Ctrl-C")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("as Ctrl-C\n", "")
