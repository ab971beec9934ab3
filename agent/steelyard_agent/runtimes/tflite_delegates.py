"""The delegates of TFLite interpreters: names, libraries, documented options, and why one cannot be used."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from steelyard_agent.runtimes.provider_names import KnownProvider, check_options, full_name, refuse_unknown
from steelyard_agent.worker.contract import ProviderProbe, ProviderSpec
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

XNNPACK = "XNNPACK"
CPU = "CPU"
_BY_PATH = "delegate:"
_LONGEST_REASON = 240

# Both are parts of the interpreter itself, without options in Python: the thread count is the interpreter's.
_BUILT_IN = (KnownProvider(name=XNNPACK), KnownProvider(name=CPU))
_DELEGATES = (
    KnownProvider(
        name="EdgeTPU",
        # libedgetpu's edgetpu.h and edgetpu_c.h.
        options=frozenset({"device", "Performance", "Usb.AlwaysDfu", "Usb.MaxBulkInQueueLength"}),
        comes_with="Coral's Debian package libedgetpu1-std",
        source="https://github.com/google-coral/libedgetpu",
    ),
    KnownProvider(
        name="GPU",
        is_open=True,
        comes_with="a build of your own of TensorFlow Lite's GPU delegate as a shared library",
        source="https://ai.google.dev/edge/litert/performance/gpu",
    ),
    KnownProvider(
        name="NNAPI",
        is_open=True,
        comes_with="nothing that is published for Python, and Android deprecates NNAPI since 15; a library of your own "
        "is delegate:/path/to/lib.so",
        source="https://developer.android.com/ndk/guides/neuralnetworks/migration-guide",
    ),
)
# The names under which the vendors' installers put these libraries on the loader's path.
_LIBRARIES = {
    "EdgeTPU": "libedgetpu.so.1",
    "GPU": "libtensorflowlite_gpu_delegate.so",
}
_KNOWN = {provider.name: provider for provider in (*_BUILT_IN, *_DELEGATES)}


def delegate_probes() -> tuple[ProviderProbe, ...]:
    """Return the interpreter's own two ways and the known delegates, those that cannot be used with the reason."""
    found = (ProviderProbe(name=one.name, reason=_why_absent(one)) for one in _DELEGATES)
    return (ProviderProbe(name=XNNPACK), ProviderProbe(name=CPU), *found)


def named_providers(specs: Sequence[ProviderSpec], product: str) -> tuple[ProviderSpec, ...]:
    """Return what was asked for under the runtime's own names ("edgetpu" is EdgeTPU), its options checked.

    Raises:
        BlockFailure: UNSUPPORTED for a name that is not known, USER_ERROR for an option that it does not have.
    """
    named = []
    for spec in specs:
        name = spec.name if spec.name.startswith(_BY_PATH) else full_name(spec.name, _KNOWN)
        if name in _KNOWN:
            known = _KNOWN[name]
            check_options(name, spec.options, known.options, is_open=known.is_open, source=known.source)
        elif not name.startswith(_BY_PATH) or name == _BY_PATH:
            raise refuse_unknown(spec.name, _KNOWN, product, f", and {_BY_PATH}/path/to/lib.so for any delegate")
        named.append(ProviderSpec(name=name, options=dict(spec.options)))
    return tuple(named)


def load_delegates(library: Any, specs: Sequence[ProviderSpec]) -> list[Any]:
    """Return the external delegates among ``specs``, loaded.

    Raises:
        BlockFailure: UNSUPPORTED when a library is not there, is no delegate, or makes none (no Edge TPU plugged in).
    """
    return [_load(library, spec) for spec in specs if spec.name not in (XNNPACK, CPU)]


def _load(library: Any, spec: ProviderSpec) -> Any:
    path = _LIBRARIES.get(spec.name, spec.name.removeprefix(_BY_PATH))
    reason = _why_absent(_KNOWN[spec.name]) if spec.name in _KNOWN else _why_not(path)
    if reason:
        raise BlockFailure(
            BlockStatus.UNSUPPORTED, "provider_unavailable", f"the delegate {spec.name} cannot be loaded: {reason}"
        )
    try:
        return library.load_delegate(path, dict(spec.options))
    except (ValueError, RuntimeError, OSError) as error:
        why = " ".join(str(error).split()) or "it does not say why"
        raise BlockFailure(
            BlockStatus.UNSUPPORTED,
            "provider_unavailable",
            f"the delegate {spec.name} cannot be made: {why[:_LONGEST_REASON]}; see that its device is plugged in and "
            "that its options fit",
        ) from error


def _why_absent(provider: KnownProvider) -> str:
    library = _LIBRARIES.get(provider.name)
    reason = _why_not(library) if library else "there is no library of it"
    return f"{reason}; it comes with {provider.comes_with}" if reason else ""


def _why_not(library: str) -> str:
    """Return why a delegate's library cannot be used, "" when it can."""
    try:
        loaded = ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    if not hasattr(loaded, "tflite_plugin_create_delegate"):
        return f"{library} is no external delegate: it lacks tflite_plugin_create_delegate"
    return ""
