"""How long a model is expected to take in a form: the costs of its layers, found in synthetic networks.

Times are not those of the device that is asked about: what is read is a ratio of two forms of one model, which differs
far less between processors with the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from steelyard.advice.contract import Expectation
from steelyard.advice.facts import Situation
from steelyard.advice.families import PRODUCT
from steelyard.advice.layer_terms import LayerTerms, float_terms, int8_terms
from steelyard.layers.contract import LayerTable

FILE = "kernel_costs.toml"
FLOAT = "float32"
STATIC = "static-int8"
PER_TENSOR = "static-int8,per_channel=false"
DYNAMIC = "dynamic-int8"
WEIGHT_ONLY = "weight-only"
# These change matrix products alone: everything else costs what it does in float.
_PRODUCTS_ONLY = frozenset({DYNAMIC, WEIGHT_ONLY})
# What no synthetic network has may be this share of all that operators without products read and write.
_MOST_UNKNOWN = 0.1
# The vectors and the dot product that the networks were timed with.
_FEATURES = frozenset({"avx512f", "avx512_vnni"})
_TOLD_GROUPS = 2
_WORTH_TELLING = 0.1
_SAME = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCosts:
    """Nanoseconds a term by form, as "kernel: term"; ``spreads`` are, by form, the ends of measured over expected."""

    source: str
    least_weights: int
    spreads: Mapping[str, tuple[float, float]]
    forms: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        """Refuse costs below nothing."""
        for form, terms in self.forms.items():
            for name, cost in terms.items():
                if cost < 0.0:
                    raise ValueError(f"{name} costs {cost} ns in {form}")

    def layer_ns(self, layer: LayerTerms, form: str) -> float:
        """Return the time of a layer in a form."""
        costs = self.forms[form]
        return sum(costs.get(f"{layer.kernel}: {term}", 0.0) * count for term, count in layer.counts.items())

    def of(self, table: LayerTable, form: str) -> list[tuple[LayerTerms, float]]:
        """Return every layer that takes time in a form, with its time in ns."""
        layers = int8_terms(table) if form in {STATIC, PER_TENSOR} else float_terms(table)
        return [(layer, self.layer_ns(layer, self.charged(layer, form))) for layer in layers]

    def charged(self, layer: LayerTerms, form: str) -> str:
        """Return by which form's costs a layer is charged: what a form leaves alone stays in float."""
        if form in _PRODUCTS_ONLY and (layer.family != PRODUCT or layer.weight_count < self.least_weights):
            return FLOAT
        return form


@lru_cache(maxsize=1)
def kernel_costs() -> KernelCosts:
    """Return the costs that ship with this version."""
    return read_costs(files("steelyard.advice").joinpath(FILE).read_text(encoding="utf-8"))


def read_costs(text: str) -> KernelCosts:
    """Read costs from TOML, as the benchmark that finds them writes them."""
    import tomllib

    content = tomllib.loads(text)
    return KernelCosts(
        source=content["source"],
        least_weights=content["least_weights"],
        spreads={form: (ends["low"], ends["high"]) for form, ends in content["spreads"].items()},
        forms=content["forms"],
    )


def expected_by_costs(situation: Situation, form: str) -> Expectation | None:
    """Return the speed-up that a form is expected to bring, None where the costs do not hold for device or model."""
    costs = kernel_costs()
    device = situation.device
    if device.emulated_by or not device.features >= _FEATURES:
        return None
    if not situation.by_onnxruntime or form not in costs.spreads:
        return None
    table = situation.model.table
    if not situation.model.mac_count or table.not_counted or not _is_covered(float_terms(table)):
        return None
    if situation.model.spelled_hard_swish_count:
        # What is quantized is what folding makes of them, and that is not in the file.
        return None
    before, after = costs.of(table, FLOAT), costs.of(table, form)
    ratio, basis = _ratio(situation, before, after)
    low, high = costs.spreads[form]
    return Expectation(low=ratio * low, high=ratio * high, evidence=f"{_told(before, after)}; {basis}")


def _is_covered(layers: list[LayerTerms]) -> bool:
    """Say whether nearly all that a model does is of kinds that the costs were found for."""
    unknown = [layer for layer in layers if not layer.is_known]
    if any(layer.family != "other" for layer in unknown):
        return False
    moved = sum(layer.byte_count for layer in layers)
    return sum(layer.byte_count for layer in unknown) <= _MOST_UNKNOWN * moved


def _ratio(
    situation: Situation, before: list[tuple[LayerTerms, float]], after: list[tuple[LayerTerms, float]]
) -> tuple[float, str]:
    """Return the speed-up and what it rests on: where times were measured, they say how much each family weighs."""
    source = kernel_costs().source
    was, becomes = _by_family(before), _by_family(after)
    times = situation.times
    if times is None:
        return sum(was.values()) / sum(becomes.values()), f"costs of layers were found in {source}"
    factors = {family: becomes.get(family, 0.0) / ns for family, ns in was.items() if ns > 0.0}
    measured = {family: times.share_of(frozenset({family})) for family in factors}
    left = max(0.0, 1.0 - sum(measured.values()))
    whole = left + sum(share * factors[family] for family, share in measured.items())
    return 1.0 / whole, f"shares were measured here ({times.job_id[:12]}), costs of layers found in {source}"


def _by_family(layers: Iterable[tuple[LayerTerms, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for layer, cost_ns in layers:
        found[layer.family] = found.get(layer.family, 0.0) + cost_ns
    return found


def _told(before: list[tuple[LayerTerms, float]], after: list[tuple[LayerTerms, float]]) -> str:
    """Say which groups of layers the time is in, and what becomes of it."""
    total = sum(cost_ns for _, cost_ns in before)
    was, becomes = _by_group(before), _by_group(after)
    longest = sorted(was, key=lambda group: -was[group])[:_TOLD_GROUPS]
    told = [
        f"{100 * was[group] / total:.0f} % of its time is expected in {group}, which "
        f"{_become(becomes.get(group, 0.0) / was[group])}"
        for group in longest
        if was[group] >= _WORTH_TELLING * total
    ]
    return ", ".join(told)


def _become(factor: float) -> str:
    return f"take {factor:.2g} times as long" if abs(factor - 1.0) > _SAME else "take as long as before"


def _by_group(layers: Iterable[tuple[LayerTerms, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for layer, cost_ns in layers:
        found[layer.group] = found.get(layer.group, 0.0) + cost_ns
    return found
