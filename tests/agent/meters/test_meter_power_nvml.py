"""NVML through an object of ours, and through the real nvidia-ml-py over a small shared library with set answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from steelyard_agent.meters.access import nvml as nvml_access
from steelyard_agent.meters.power import PowerMeter, find_power_sources
from steelyard_agent.meters.power_source import SourceReader, read_source
from steelyard_agent.readings import Kind, Scope
from steelyard_agent.sampler.protocol import READY_LINE, SamplerOrder, decode_sample, encode_order
from tests.support.fake_sysfs import FakeSysfs
from tests.support.nvml_fakes import FakeGpu, FakeNvml, build_fake_library

H100 = FakeGpu()
A100 = FakeGpu(name="NVIDIA A100-SXM4-80GB", uuid="GPU-a100", architecture=7, power_mw=61_310, energy_mj=5_000)
T4 = FakeGpu(name="Tesla T4", uuid="GPU-t4", architecture=6, power_mw=9_870, energy_mj=77)
P100 = FakeGpu(name="Tesla P100-PCIE-16GB", uuid="GPU-p100", architecture=4, power_mw=27_000, energy_mj=None)


@pytest.fixture
def tree(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write("/dev/nvidia0", "")
    return tree


@pytest.fixture
def install(monkeypatch):
    def install(*gpus, **trouble):
        fake = FakeNvml(*gpus, **trouble)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return install


def test_each_gpu_has_an_energy_counter_and_a_power(tree, install):
    fake = install(H100, A100)
    found = find_power_sources(tree.system)
    assert [(source.name, source.place) for source in found.sources] == [
        ("gpu_energy", "NVML GPU 0"),
        ("gpu_power", "NVML GPU 0"),
        ("gpu_energy", "NVML GPU 1"),
        ("gpu_power", "NVML GPU 1"),
    ]
    assert {source.scope for source in found.sources} == {Scope.GPU_BOARD}
    assert found.sources[0].kind is Kind.COUNTER
    assert found.sources[0].rate_hz == 10
    assert fake.open_count == 0, "the library is given back"


def test_its_values_are_joules_and_watts(tree, install):
    fake = install(H100)
    meter = PowerMeter(tree.system)
    energy, power = meter.probe()
    assert (energy.value, energy.unit) == (pytest.approx(123_456.789), "J")
    assert (power.value, power.unit) == (pytest.approx(68.92), "W")
    assert power.source == "NVML GPU 0 (NVIDIA H100 80GB HBM3, power averaged over 1 s)"
    fake.gpus[0] = replace(H100, energy_mj=123_556_789)
    assert meter.read()[0].value == pytest.approx(123_556.789)
    assert fake.open_count == 2
    meter.close()
    assert fake.open_count == 0


@pytest.mark.parametrize(("gpu", "averaging_s"), [(H100, 1.0), (A100, 0.0), (T4, 0.0)])
def test_power_is_averaged_since_ampere_but_not_on_its_first_chip(tree, install, gpu, averaging_s):
    install(gpu)
    _, power = find_power_sources(tree.system).sources
    assert power.averaging_s == averaging_s
    assert (power.rate_hz is None) == (averaging_s == 0)


def test_what_a_gpu_looks_at_a_quarter_of_the_time_is_said(tree, install):
    install(A100, T4)
    cautions = [source.caution for source in find_power_sources(tree.system).sources]
    assert "a quarter of the time" in cautions[0]
    assert cautions[2:] == ["", ""]


def test_an_old_gpu_has_power_alone_and_a_driver_may_not_tell_the_architecture(tree, install):
    install(P100).tells_architecture = False
    found = find_power_sources(tree.system)
    assert [source.name for source in found.sources] == ["gpu_power"]
    assert found.sources[0].averaging_s == 0
    assert found.missing == ()


def test_the_gpu_inside_a_jetson_is_told_by_its_module_not_by_nvml(tree, install):
    install(FakeGpu(name="Orin (nvgpu)", power_mw=None, energy_mj=None))
    assert PowerMeter(tree.system).probe()[0].name == "power"


def test_a_gpu_that_tells_nothing_gives_the_reason(tree, install):
    install(FakeGpu(power_mw=None, energy_mj=None))
    readings = PowerMeter(tree.system).probe()
    assert [reading.name for reading in readings] == ["gpu_energy", "gpu_power"]
    assert "Not Supported" in readings[0].reason


def test_a_lost_gpu_leaves_the_others(tree, install):
    install(H100, A100, lost=(0,))
    found = find_power_sources(tree.system)
    assert {source.place for source in found.sources} == {"NVML GPU 1"}
    assert [reading.reason for reading in found.missing] == ["NVML says of GPU 0: GPU is lost; try nvidia-smi"]


def test_without_a_device_node_nvml_is_not_even_imported(tmp_path, install):
    install(H100, init_error="must not be asked")
    (reading,) = PowerMeter(FakeSysfs(tmp_path).system).probe()
    assert reading.name == "power"


@pytest.mark.parametrize(
    ("trouble", "part"),
    [
        ({"init_error": "Driver Not Loaded"}, "NVML says 'Driver Not Loaded'"),
        ({"count_error": "Unknown Error"}, "NVML does not count its GPUs: Unknown Error"),
    ],
)
def test_a_library_that_does_not_work_is_the_reason(tree, install, trouble, part):
    install(H100, **trouble)
    (reading,) = PowerMeter(tree.system).probe()
    assert (reading.name, reading.value) == ("gpu_power", None)
    assert part in reading.reason


def test_a_missing_package_names_the_extra(tree, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    (reading,) = PowerMeter(tree.system).probe()
    assert "pip install 'steelyard[nvidia]'" in reading.reason


def test_a_gpu_that_goes_away_later_gives_its_reason(tree, install):
    fake = install(H100)
    source = find_power_sources(tree.system).sources[0]
    fake.gpus = [A100]
    reader = SourceReader(tree.system, source)
    assert "NVML knows no GPU GPU-8b1f5a3e" in read_source(reader).reason
    reader.close()
    assert fake.open_count == 0


def test_the_access_needs_a_gpu_and_a_quantity(tree):
    with pytest.raises(ValueError):
        nvml_access.open_reader(tree.system, ("GPU-1",))


_FIND = """
import json, sys, time
from pathlib import Path
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.power import find_power_sources
from steelyard_agent.meters.power_source import source_to_json
found = find_power_sources(System(root=Path(sys.argv[1]), clock_ns=time.monotonic_ns))
print(json.dumps([[source_to_json(one) for one in found.sources], [one.reason for one in found.missing]]))
"""


def environment(folder, *gpus, **variables):
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(folder),
        "NVML_GPUS": "\n".join(gpu.line() for gpu in gpus),
        **variables,
    }


def test_the_real_package_reads_a_real_library(tree, tmp_path):
    folder = build_fake_library(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _FIND, str(tree.root)],
        env=environment(folder, H100, A100),
        capture_output=True,
        text=True,
        check=True,
    )
    sources, missing = json.loads(done.stdout)
    assert missing == []
    assert [source["detail"].split(",")[0] for source in sources] == [
        *["NVIDIA H100 80GB HBM3"] * 2,
        *["NVIDIA A100-SXM4-80GB"] * 2,
    ]
    assert [source["averaging_s"] for source in sources] == [0.0, 1.0, 0.0, 0.0]


def test_the_sampler_process_reads_a_gpu_by_its_order_alone(tree, tmp_path, install):
    install(H100)
    order = SamplerOrder(system_root=str(tree.root), sources=find_power_sources(tree.system).sources, period_ms=1)
    done = subprocess.run(
        [sys.executable, "-m", "steelyard_agent.sampler"],
        input=encode_order(order) + "\n",
        env=environment(build_fake_library(tmp_path), H100),
        capture_output=True,
        text=True,
        check=True,
    )
    samples = [decode_sample(line) for line in done.stdout.splitlines() if line != READY_LINE]
    assert {(sample.source_index, sample.raw) for sample in samples} == {(0, 123_456_789), (1, 68_920)}


def test_a_library_without_its_driver_is_told(tree, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _FIND, str(tree.root)],
        env=environment(build_fake_library(tmp_path), H100, NVML_INIT="9"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "NVML says 'Driver Not Loaded'" in json.loads(done.stdout)[1][0]
