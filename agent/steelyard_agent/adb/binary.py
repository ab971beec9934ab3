"""The command line of TFLite's ``benchmark_model`` for a block: plain flags from an allow-list, never code.

Source: tensorflow/lite/tools/benchmark/README.md and tensorflow/lite/tools/delegates/README.md of TensorFlow (the same
program is in LiteRT). A binary that does not know a flag says "Unconsumed cmdline flags" and goes on.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from steelyard_agent.worker.block import Block, Timing
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

RUNTIME_NAME = "benchmark_model"
CPU = "CPU"
XNNPACK = "XNNPACK"
GPU = "GPU"
NNAPI = "NNAPI"
EXTERNAL = "delegate:"
PROVIDERS = (XNNPACK, CPU, GPU, NNAPI)

# The options of each provider: our key is the program's flag.
_PROVIDER_FLAGS: Mapping[str, frozenset[str]] = {
    CPU: frozenset(),
    XNNPACK: frozenset({"xnnpack_force_fp16"}),
    GPU: frozenset(
        {
            *("gpu_precision_loss_allowed", "gpu_experimental_enable_quant", "gpu_backend"),
            *("gpu_inference_for_sust", "gpu_wait_type", "gpu_invoke_loop_times"),
        }
    ),
    NNAPI: frozenset(
        {
            *("nnapi_accelerator_name", "nnapi_execution_preference", "nnapi_execution_priority"),
            *("disable_nnapi_cpu", "nnapi_allow_fp16", "nnapi_use_burst_mode", "nnapi_support_library_path"),
        }
    ),
}
_VALUE = re.compile(r"[A-Za-z0-9_./:+-]{1,200}")
_PHONE_PATH = re.compile(r"/[A-Za-z0-9_./+-]{1,300}")
# The program's own warm-up: no search for a steady state, only a time.
WARMUP_S = 0.5
# It ends itself well before it would be ended; its own default is 150 s.
_SHARE_OF_TIMEOUT = 0.8


def command_line(block: Block, options: RuntimeOptions, *, program: str, model: str, timeout_s: float) -> str:
    """Return what the phone's shell is told; every word is quoted.

    Raises:
        BlockFailure: USER_ERROR for options that this program does not have, UNSUPPORTED for an unknown provider.
    """
    words = [program, f"--graph={model}", *_flags(block.timing, options, timeout_s)]
    threads = options.intra_op_thread_count or len(block.core_ids)
    if threads:
        words.append(f"--num_threads={threads}")
    if block.core_ids:
        words = ["taskset", f"{sum(1 << core for core in set(block.core_ids)):x}", *words]
    return shlex.join(words)


def _flags(timing: Timing, options: RuntimeOptions, timeout_s: float) -> Iterator[str]:
    _refuse_foreign_options(options)
    yield f"--warmup_min_secs={min(WARMUP_S, timing.warmup_cap_ms / 1000):g}"
    yield f"--min_secs={timing.sample_window_ms / 1000:g}"
    yield f"--num_runs={timing.min_sample_count}"
    yield f"--max_secs={max(1.0, timeout_s * _SHARE_OF_TIMEOUT):g}"
    yield "--enable_op_profiling=false"
    # A thread of its own looks every 50 ms by default; a fifth of that is seldom enough not to be seen.
    yield "--report_peak_memory_footprint=true"
    yield "--memory_footprint_check_interval_ms=250"
    if options.providers:
        yield from _provider_flags(options.providers[0])
    if options.input_shapes:
        yield f"--input_layer={','.join(options.input_shapes)}"
        yield "--input_layer_shape=" + ":".join(",".join(map(str, one)) for one in options.input_shapes.values())


def _refuse_foreign_options(options: RuntimeOptions) -> None:
    foreign = {
        "inter_op_thread_count": options.inter_op_thread_count is not None,
        "graph_optimization": options.graph_optimization is not None,
        "spinning": options.spinning is not None,
        "arena": options.arena is not None,
        "options": bool(options.options),
        "a second provider": len(options.providers) > 1,
    }
    if named := [name for name, is_set in foreign.items() if is_set]:
        raise BlockFailure(
            BlockStatus.USER_ERROR, "foreign_option", f"{RUNTIME_NAME} has no setting {named[0]!r}; leave it out"
        )
    for name in options.input_shapes:
        if re.search(r"[,:\s]", name):
            raise BlockFailure(
                BlockStatus.USER_ERROR, "foreign_option", f"{RUNTIME_NAME} cannot be told a shape of input {name!r}"
            )


def _provider_flags(provider: ProviderSpec) -> Iterator[str]:
    name = provider.name
    if name.startswith(EXTERNAL):
        yield from _external(provider)
        return
    known = _PROVIDER_FLAGS.get(name)
    if known is None:
        raise BlockFailure(
            BlockStatus.UNSUPPORTED,
            "provider_unavailable",
            f"{RUNTIME_NAME} knows no provider {name!r}; it has {', '.join(PROVIDERS)}, and {EXTERNAL}/path/on/the/"
            "phone.so for an external delegate",
        )
    yield {CPU: "--use_xnnpack=false"}.get(name, f"--use_{name.lower()}=true")
    for key, value in provider.options.items():
        if key not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise BlockFailure(
                BlockStatus.USER_ERROR, "foreign_option", f"provider {name} has no option {key!r}; it has {listed}"
            )
        yield f"--{key}={_checked(key, value, _VALUE)}"


def _external(provider: ProviderSpec) -> Iterator[str]:
    yield "--external_delegate_path=" + _checked("path", provider.name.removeprefix(EXTERNAL), _PHONE_PATH)
    if provider.options:
        pairs = (
            f"{_checked('key', key, _VALUE)}:{_checked(key, value, _VALUE)}" for key, value in provider.options.items()
        )
        yield f"--external_delegate_options={';'.join(pairs)}"


def _checked(name: str, value: str, pattern: re.Pattern[str]) -> str:
    if pattern.fullmatch(value) is None:
        raise BlockFailure(
            BlockStatus.USER_ERROR,
            "foreign_option",
            f"{value[:80]!r} cannot be the {name} of a provider of a phone: it must match {pattern.pattern}",
        )
    return value
