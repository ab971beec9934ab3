"""What is known of each family's fake device: who it is, what its cores have, and what tells power there."""

from __future__ import annotations

from dataclasses import dataclass, field

from steelyard_agent.readings import Scope

A53 = ("asimd",)
DOT = ("asimd", "asimddp", "fphp", "asimdhp")
G3 = (*DOT, "i8mm", "sve", "sve2", "svei8mm")


@dataclass(frozen=True, kw_only=True)
class Board:
    """What the agent must find on a fake device.

    ``power`` maps the names of the readings that are expected to their scope; without any, ``why_no_power`` is a part
    of the reason. ``heat`` are the kinds of temperature that are read, ``unread_zones`` those that are there in vain.
    """

    model: str
    profile: str
    processor: str
    features: tuple[str, ...]
    core_count: int
    groups: tuple[tuple[str, int], ...]
    heat: frozenset[str] = frozenset()
    unread_zones: int = 0
    governor: str = ""
    power: dict[str, Scope] = field(default_factory=dict)
    why_no_power: str = ""


CPU, GPU, OTHER = "cpu_temperature", "gpu_temperature", "temperature"
ONE_KIND_4 = (("all", 4),)

BOARDS = {
    "raspberry_pi_3b_plus": Board(
        model="Raspberry Pi 3 Model B Plus Rev 1.3",
        profile="raspberry-pi-3b-plus",
        processor="4x Cortex-A53",
        features=A53,
        core_count=4,
        groups=ONE_KIND_4,
        heat=frozenset({CPU}),
        governor="ondemand",
        why_no_power="drivers found: cpu_thermal, rpi_volt",
    ),
    "raspberry_pi_4b": Board(
        model="Raspberry Pi 4 Model B Rev 1.5",
        profile="raspberry-pi-4b",
        processor="4x Cortex-A72",
        features=A53,
        core_count=4,
        groups=ONE_KIND_4,
        heat=frozenset({CPU}),
        governor="ondemand",
        why_no_power="drivers found: cpu_thermal, rpi_volt",
    ),
    "raspberry_pi_5": Board(
        model="Raspberry Pi 5 Model B Rev 1.0",
        profile="raspberry-pi-5",
        processor="4x Cortex-A76",
        features=DOT,
        core_count=4,
        groups=ONE_KIND_4,
        heat=frozenset({CPU}),
        governor="ondemand",
        power={"board_rails_power": Scope.BOARD_RAILS},
    ),
    "raspberry_pi_zero_2w": Board(
        model="Raspberry Pi Zero 2 W Rev 1.0",
        profile="raspberry-pi-zero-2w",
        processor="4x Cortex-A53",
        features=("neon",),
        core_count=4,
        groups=ONE_KIND_4,
        heat=frozenset({CPU}),
        governor="ondemand",
        why_no_power="drivers found: cpu_thermal, rpi_volt",
    ),
    "jetson_nano_jetpack4": Board(
        model="NVIDIA Jetson Nano Developer Kit",
        profile="jetson-nano",
        processor="4x Cortex-A57",
        features=A53,
        core_count=4,
        groups=ONE_KIND_4,
        heat=frozenset({CPU, GPU, OTHER}),
        governor="schedutil",
        power={
            "pom_5v_in_power": Scope.MODULE,
            "pom_5v_gpu_power": Scope.BOARD_RAILS,
            "pom_5v_cpu_power": Scope.BOARD_RAILS,
        },
    ),
    "jetson_nano_newer": Board(
        model="NVIDIA Jetson Nano Developer Kit",
        profile="jetson-nano",
        processor="4x Cortex-A57",
        features=A53,
        core_count=4,
        groups=ONE_KIND_4,
        heat=frozenset({CPU, GPU, OTHER}),
        governor="schedutil",
        power={
            "pom_5v_in_power": Scope.MODULE,
            "pom_5v_gpu_power": Scope.BOARD_RAILS,
            "pom_5v_cpu_power": Scope.BOARD_RAILS,
        },
    ),
    "jetson_orin_nano": Board(
        model="NVIDIA Jetson Orin Nano Developer Kit",
        profile="jetson-orin-nano",
        processor="6x Cortex-A78AE",
        features=DOT,
        core_count=6,
        groups=(("all", 6),),
        heat=frozenset({CPU, GPU, OTHER}),
        unread_zones=3,
        governor="schedutil",
        power={
            "vdd_in_power": Scope.MODULE,
            "vdd_cpu_gpu_cv_power": Scope.BOARD_RAILS,
            "vdd_soc_power": Scope.BOARD_RAILS,
        },
    ),
    "jetson_agx_orin": Board(
        model="Jetson AGX Orin Developer Kit",
        profile="jetson-agx-orin",
        processor="12x Cortex-A78AE",
        features=DOT,
        core_count=12,
        groups=(("all", 12),),
        heat=frozenset({CPU, GPU, OTHER}),
        unread_zones=3,
        governor="schedutil",
        power={
            "module_power": Scope.MODULE,
            "vdd_gpu_soc_power": Scope.BOARD_RAILS,
            "vdd_cpu_cv_power": Scope.BOARD_RAILS,
            "vin_sys_5v0_power": Scope.BOARD_RAILS,
            "vddq_vdd2_1v8ao_power": Scope.BOARD_RAILS,
        },
    ),
    "pixel_8": Board(
        model="Google Pixel 8",
        profile="google-tensor-g3",
        processor="4x Cortex-A510 + 4x Cortex-A715 + 1x Cortex-X3",
        features=G3,
        core_count=9,
        groups=(("big", 1), ("middle", 4), ("little", 4)),
        governor="sched_pixel",
        power={"battery_power": Scope.BATTERY},
    ),
    "android_generic": Board(
        model="Example EX-7400",
        profile="android-generic",
        processor="4x Cortex-A55 + 4x Cortex-A78",
        features=DOT,
        core_count=8,
        groups=(("big", 4), ("little", 4)),
        unread_zones=4,
        governor="schedutil",
        why_no_power="permission denied on /sys/class/power_supply/battery",
    ),
    "rock_5b": Board(
        model="Radxa ROCK 5B",
        profile="rock-5b",
        processor="4x Cortex-A55 + 4x Cortex-A76",
        features=DOT,
        core_count=8,
        groups=(("big", 4), ("little", 4)),
        heat=frozenset({CPU, GPU, OTHER}),
        governor="ondemand",
        why_no_power="tcpm-source-psy-4-0022",
    ),
    "n100": Board(
        model="AZW MINI S12",
        profile="n100",
        processor="Intel(R) N100",
        features=("avx2", "fma", "f16c", "avx_vnni"),
        core_count=4,
        groups=ONE_KIND_4,
        heat=frozenset({CPU, OTHER}),
        governor="powersave",
        power={"package_energy": Scope.SOC, "core_energy": Scope.SOC, "uncore_energy": Scope.SOC},
    ),
    "coral_dev_board": Board(
        model="Freescale i.MX8MQ Phanbell",
        profile="coral-dev-board",
        processor="4x Cortex-A53",
        features=A53,
        core_count=4,
        groups=ONE_KIND_4,
        heat=frozenset({CPU, GPU, OTHER}),
        governor="ondemand",
        why_no_power="no sensor; looked at",
    ),
    "beaglebone_ai_64": Board(
        model="BeagleBoard.org BeagleBone AI-64",
        profile="beaglebone-ai-64",
        processor="2x Cortex-A72",
        features=A53,
        core_count=2,
        groups=(),
        heat=frozenset({CPU, GPU, OTHER}),
        why_no_power="drivers found: mpu_thermal",
    ),
    "spacemit_k1": Board(
        model="spacemit k1-x deb1 board",
        profile="spacemit-k1",
        processor="Spacemit(R) X60",
        features=("v", "zvfh"),
        core_count=8,
        groups=(("all", 8),),
        heat=frozenset({CPU}),
        governor="performance",
        why_no_power="drivers found: cluster0_thermal, cluster1_thermal",
    ),
    "bare_virtual_machine": Board(
        model="",
        profile="virtual-machine",
        processor="AMD EPYC",
        features=("avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16"),
        core_count=2,
        groups=(),
        why_no_power="no sensor; looked at /sys/class/powercap (not there)",
    ),
    "unknown_board": Board(
        model="Example Corp Sparrow 2",
        profile="",
        processor="4x Cortex-A55 + 2x Cortex-A76",
        features=DOT,
        core_count=6,
        groups=(("big", 2), ("little", 4)),
        heat=frozenset({CPU}),
        governor="schedutil",
        power={"power": Scope.BOARD_RAILS},
    ),
}
