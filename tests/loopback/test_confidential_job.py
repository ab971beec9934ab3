"""A confidential model is measured by a real agent, and is nowhere on the device afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions
from steelyard.settings import Settings
from tests.support.anywhere import ANYWHERE

QUICK = MeasurementOptions(min_round_count=3, max_round_count=3, sample_window_ms=20, gate=ANYWHERE)


def test_a_confidential_model_leaves_no_file_on_the_device_and_a_line_in_its_history(
    client: Client, settings: Settings, model: Callable[..., Path]
) -> None:
    secret = client.add_model(model(name="secret.onnx", seed=1), confidential=True)
    plain = client.add_model(model(name="plain.onnx", seed=2))
    client.measure([secret, plain], options=QUICK).wait()
    deadline_s = time.monotonic() + 20
    while not (told := [one for one in client.fleet.events("local") if one.kind == "confidential_removed"]):
        assert time.monotonic() < deadline_s, client.fleet.events("local")
        time.sleep(0.02)
    assert secret.digest[:12] in told[0].message
    assert plain.digest[:12] not in told[0].message
    kept = {path.name for path in (settings.state_directory / "local-agent").rglob("*")}
    assert plain.digest in kept
    assert not [name for name in kept if name.startswith(secret.digest) and not name.endswith(".confidential")]
