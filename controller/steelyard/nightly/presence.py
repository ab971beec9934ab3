"""Is the device there, may it be measured, and until when it is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.control.pools import refused_because
from steelyard.durations import human_duration
from steelyard.nightly.errors import StoppedError
from steelyard.nightly.runs import RunningNight

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.suites.cells import NightDevice

# Started by the controller when a job asks for it; see fleet/local_agent.py, which is not imported for a name.
LOCAL_NAME = "local"


def wait_until_there(client: Client, running: RunningNight, device: NightDevice) -> tuple[str, str]:
    """Return ("", "") once the device can be measured, else why it is not tonight: a code and a sentence.

    A device that is away is waited for until the night's window closes: it may be back at three.

    Raises:
        StoppedError: the night was told to stop.
    """
    was_said = False
    while True:
        if running.stop.is_set():
            raise StoppedError
        found = client.device(device.device_id)
        refusal = refused_because(found)
        if refusal:
            return ("quarantined" if found.quarantined_because else "draining"), refusal
        if not running.window_is_open:
            window = f"the night's window of {human_duration(running.window_s)}"
            if found.online or device.name == LOCAL_NAME:
                return "window", f"{window} was over before its turn came"
            return "offline", f"it was not connected while {window} was open"
        if found.online or device.name == LOCAL_NAME:
            return "", ""
        if not was_said:
            running.say(f"{device.name} is not connected; waiting for it while the window is open")
            was_said = True
        running.clock.wait(running.stop, running.options.look_s)


def address_of(device: NightDevice) -> str:
    """Return how jobs name the device: by its id, but for the one that is started on demand."""
    return LOCAL_NAME if device.name == LOCAL_NAME else device.device_id
