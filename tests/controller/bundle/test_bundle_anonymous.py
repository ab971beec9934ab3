"""Bundles without who and where: no original is left in any byte, and every figure is the same."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.bundle import open_bundle, read_measurements, verify_bundle
from steelyard.bundle.anonymous import Anonymiser, without_text
from steelyard.errors import UsageError
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2
from tests.controller.analysis.planted_rounds import digest_of
from tests.controller.bundle.planted import (
    DEVICE_ID,
    DEVICE_NAME,
    LABELS,
    METER,
    ORIGINALS,
    PlantedClient,
    everything_in,
    manifest_of,
    members_of,
    planted_client,
    write,
)


def test_no_original_remains_in_any_byte(tmp_path: Path) -> None:
    open_ones = everything_in(write(tmp_path / "open.zip").path).lower()
    assert all(one.lower().encode() in open_ones for one in ORIGINALS), "the test would show nothing"
    anonymous = everything_in(write(tmp_path / "anonymous.zip", anonymous=True, with_models=True).path).lower()
    for one in (*ORIGINALS, DEVICE_ID[:8], "jane", "secret-project", "example.org", ".local/state"):
        assert one.lower().encode() not in anonymous, one


def test_what_stands_in_the_place_of_a_name_is_the_same_everywhere(tmp_path: Path) -> None:
    path = write(tmp_path / "b.zip", anonymous=True).path
    with open_bundle(path) as archive:
        (measurement,) = read_measurements(archive)
        record = archive.read("jobs/job-0001/record.json").decode()
    assert measurement.device_name == measurement.device.device_id == "device-1"
    assert measurement.controller_id == "controller-1"
    assert "on device-1" in measurement.decision.sentence
    assert measurement.variants[0].numeric.other_devices[0].startswith("device-2 ")
    assert measurement.variants[0].external_energy_readings[0].source.startswith("shelly")
    assert '"shelly:meter-1"' in record
    assert '"model": "Raspberry Pi 5 Model B Rev 1.0"' in record
    assert "/sys/class/powercap" in record
    assert manifest_of(path).is_anonymous
    assert manifest_of(path).jobs[0].device_name == "device-1"


def test_figures_are_those_of_the_named_bundle(tmp_path: Path) -> None:
    found = []
    for name, anonymous in (("a", False), ("b", True)):
        path = write(tmp_path / f"{name}.zip", anonymous=anonymous).path
        assert verify_bundle(path).agrees
        with open_bundle(path) as archive:
            found.append(without_text(read_measurements(archive)[0]))
    assert found[0] == found[1]
    assert found[0].variants[1].p50_latency.value > 0.0


def test_the_same_measurement_is_anonymous_by_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path / f"{name}.zip", anonymous=True).path for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_a_model_that_holds_a_name_is_refused(tmp_path: Path) -> None:
    client = planted_client()
    client.blobs[digest_of(LABELS[0])] = f"producer {DEVICE_NAME}".encode()
    with pytest.raises(UsageError, match=f"'{DEVICE_NAME}' is still in .*: leave --with-models out"):
        write(tmp_path / "b.zip", client, anonymous=True, with_models=True)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_this_machine_is_among_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "thinkpad-of-jim")
    client = planted_client()
    client.records["job-0001"].artifacts[0].lineage.recipe_toml += "# made on THINKPAD-OF-JIM\n"
    path = write(tmp_path / "b.zip", client, anonymous=True).path
    assert b"thinkpad" not in everything_in(path).lower()
    assert b"made on host-" in members_of(path)["jobs/job-0001/record.json"]


def test_a_device_called_by_a_word_of_the_figures_is_refused(tmp_path: Path) -> None:
    """A label of the plan is a word too: what was measured would no longer be what was planned."""
    client = planted_client()
    record = client.records["job-0001"]
    record.device.name = record.job.device = record.request.device = "p90<5ms"
    with pytest.raises(UsageError, match="called by a word that figures depend on"):
        write(tmp_path / "b.zip", PlantedClient([record], client.blobs), anonymous=True)


def anonymised(text: str, *names: str) -> str:
    one = Anonymiser()
    one.learn("device", names)
    return one.text(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ship it on Janes-Bench-PI5.", "Ship it on device-1."),
        ("xjanes-bench-pi5x", "xdevice-1x"),
        ("/home/ann/m.onnx and /home/ann/m.onnx", "path-1 and path-1"),
        ("open '/Users/ann/My' failed", "open 'path-1' failed"),
        ("-L/home/ann/lib", "-Lpath-1"),
        ("C:\\Users\\ann\\m.onnx", "path-1"),
        ("~/models/m.onnx", "path-1"),
        ("/tmp/steelyard-x1/worker", "path-1"),
        ("/data/data/com.termux/files/home/m", "path-1"),
        ("http://192.168.1.20:80/rpc", "http://host-1/rpc"),
        ("at 10.0.0.7, at 10.0.0.7", "at host-1, at host-1"),
        ("ann@example.org wrote", "address-1 wrote"),
        ("to nas.local", "to host-1"),
        ("aa:bb:cc:dd:ee:ff", "mac-1"),
        ("Joulescope JS220 serial 001234", "Joulescope JS220 serial serial-1"),
        # What says nothing of anybody.
        ("/sys/class/hwmon/hwmon0 and /proc/stat", "/sys/class/hwmon/hwmon0 and /proc/stat"),
        ("/layer1/conv/Conv_output_0", "/layer1/conv/Conv_output_0"),
        ("onnxruntime 1.32.0, 12.5 MAC/s, 127.0.0.1", "onnxruntime 1.32.0, 12.5 MAC/s, 127.0.0.1"),
        ("onnxruntime@jp5", "onnxruntime@jp5"),
        ("", ""),
    ],
)
def test_texts_lose_names_and_keep_the_rest(text: str, shown: str) -> None:
    assert anonymised(text, DEVICE_NAME) == shown


def test_a_short_name_is_a_word_of_its_own() -> None:
    assert anonymised("pi5: Ship on pi5, not on rpi52", "pi5") == "device-1: Ship on device-1, not on rpi52"


def test_names_that_identify_nobody_are_left() -> None:
    assert anonymised("root on local", "local", "root") == "root on local"


@given(text=st.text(max_size=60))
def test_a_known_name_is_never_in_a_text(text: str) -> None:
    shown = anonymised(f"{text}{DEVICE_NAME}{text}", DEVICE_NAME)
    assert DEVICE_NAME not in shown
    assert anonymised(shown, DEVICE_NAME) == shown


def test_every_string_at_any_depth_is_looked_at() -> None:
    """By the descriptor and not by a list of fields: maps and lists, and messages in both."""
    one = Anonymiser()
    one.learn("device", [DEVICE_NAME])
    request = control_pb2.SubmitMeasurementRequest(device=DEVICE_NAME, requirements=[DEVICE_NAME], meters=[METER])
    planned = request.plan.artifacts.add(label=DEVICE_NAME)
    planned.runtime.options["library"] = DEVICE_NAME
    planned.runtime.providers.add(name="x", options={"path": DEVICE_NAME})
    planned.input_shapes["image"].CopyFrom(common_pb2.Shape(sizes=[1, 2]))
    shown = one.message(request)
    assert DEVICE_NAME not in str(shown)
    assert shown.plan.artifacts[0].input_shapes["image"].sizes == [1, 2]
    assert request.device == DEVICE_NAME, "the original stays as it was"
    assert isinstance(shown.plan, plan_pb2.Plan)
