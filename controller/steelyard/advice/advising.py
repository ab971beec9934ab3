"""From a situation to advice: the rules that apply, in the order in which to try what they say."""

from __future__ import annotations

from steelyard.advice.contract import Advice, AdviceWarning, AdvisedRecipe
from steelyard.advice.facts import MIXED, NOTHING_COUNTED, DeviceFacts, Situation
from steelyard.advice.priors import expectation
from steelyard.advice.recipe_rules import RECIPE_RULES, RecipeRule
from steelyard.advice.warning_rules import WARNING_RULES
from steelyard.compress.contract import FLOAT32
from steelyard.compress.inline_text import parse_inline
from steelyard.compress.recipe import Recipe
from steelyard.stats.formatting import format_value

NEEDS_CALIBRATION = "a task with data to calibrate on (--task)"
# Where nothing is known of a recipe's speed it comes behind those that are expected to be faster.
_UNKNOWN_MIDDLE = 1.0
_MOST_MEMORY_SHARE = 0.5


def advise(situation: Situation) -> Advice:
    """Return what to try, what to know before, and what could not be told.

    Recipes come by the middle of the speed-up that is expected, those that only save space last; rules that expect the
    same keep the order of their table. A model that is not float32 gets none: every recipe starts from float32.
    """
    notes = tuple(_notes(situation))
    if situation.model.form != FLOAT32:
        return Advice(recipes=(), warnings=(), notes=notes)
    recipes = sorted(_recipes(situation), key=_rank)
    warnings = tuple(
        AdviceWarning(id=rule.id, text=rule.text(situation), claims=rule.claims(situation))
        for rule in WARNING_RULES
        if rule.applies(situation)
    )
    return Advice(recipes=tuple(recipes), warnings=warnings, notes=notes)


def _recipes(situation: Situation) -> list[AdvisedRecipe]:
    found: dict[str, AdvisedRecipe] = {}
    for rule in RECIPE_RULES:
        if rule.recipe in found or not rule.applies(situation) or not _kinds(rule.recipe) <= situation.step_kinds:
            continue
        found[rule.recipe] = _advised(rule, situation)
    return list(found.values())


def _advised(rule: RecipeRule, situation: Situation) -> AdvisedRecipe:
    lacks_data = not situation.has_calibration and Recipe(parse_inline(rule.recipe)).needs_calibration
    return AdvisedRecipe(
        rule=rule.id,
        recipe=rule.recipe,
        reason=rule.reason(situation),
        expectation=expectation(situation, rule.prior_kind) if rule.prior_kind else None,
        saves_only_space=rule.saves_only_space,
        needs=NEEDS_CALIBRATION if lacks_data else "",
    )


def _rank(advised: AdvisedRecipe) -> tuple[bool, float]:
    middle = advised.expectation.middle if advised.expectation is not None else _UNKNOWN_MIDDLE
    return advised.saves_only_space, -middle


def _kinds(recipe: str) -> set[str]:
    return {step.partition(",")[0] for step in recipe.split("+")}


def _notes(situation: Situation) -> list[str]:
    model, device = situation.model, situation.device
    told = [
        _form_note(situation),
        _counts_note(situation),
        f"{device.name} is emulated ({device.emulated_by}): no speed is expected of anything here"
        if device.emulated_by
        else "",
        _features_note(situation),
        _runtime_note(situation),
        *_other_providers(situation),
        _memory_note(situation),
        ""
        if situation.has_calibration or model.form != FLOAT32
        else "without a task nothing is known of accuracy, and nothing can be calibrated: give one with --task",
    ]
    return [note for note in told if note]


def _form_note(situation: Situation) -> str:
    model = situation.model
    if model.form == FLOAT32:
        return ""
    return f"{model.name} is {model.form} already, and recipes start from float32: give the model that it was made from"


def _counts_note(situation: Situation) -> str:
    model = situation.model
    left = len(model.table.not_counted)
    if model.character == NOTHING_COUNTED:
        first = next((layer.reason for layer in model.table.not_counted if layer.reason), "no layer multiplies")
        return f"no multiply-accumulates could be counted ({first}), and advice that follows from them is left out"
    if left:
        return f"{left} of {len(model.table.layers)} layers could not be counted ({model.table.not_counted[0].reason})"
    if model.character == MIXED:
        return "no kind of layer has most of the multiply-accumulates, so that no comparable model is known"
    return ""


def _features_note(situation: Situation) -> str:
    device = situation.device
    if not situation.on_cpu:
        return (
            f"{situation.provider} runs the model, and what is known of processors does not hold for it: no speed is "
            "expected before it is measured"
        )
    if device.int8_dot is None:
        return (
            f"{device.name} does not tell whether its processor has an int8 dot product, on which the speed of 8 bits "
            "depends"
        )
    return ""


def _runtime_note(situation: Situation) -> str:
    of_name = [one for one in situation.device.runtimes if one.name == situation.runtime]
    if any(one.version and not one.reason for one in of_name):
        return ""
    reason = next((one.reason for one in of_name if one.reason), "")
    return (
        f"{situation.runtime}, which would run this model, was not found on {situation.device.name}"
        f"{f' ({reason})' if reason else ''}; install it there, or name another with --runtime"
    )


def _other_providers(situation: Situation) -> list[str]:
    others = _accelerators(situation.device, situation.runtime)
    if not others or not situation.on_cpu:
        return []
    return [f"the device has {', '.join(sorted(others))}, too: advise again with --provider to know what suits it"]


def _accelerators(device: DeviceFacts, runtime: str) -> set[str]:
    # AzureExecutionProvider calls a service, and CPU is what is advised on; neither is hardware beside it.
    left_out = {"CPUExecutionProvider", "AzureExecutionProvider", "XNNPACK", "XnnpackExecutionProvider", "CPU"}
    return {name for one in device.runtimes if one.name == runtime for name in one.providers} - left_out


def _memory_note(situation: Situation) -> str:
    held, there = situation.model.weight_bytes, situation.device.memory_bytes
    if not there or held <= _MOST_MEMORY_SHARE * there:
        return ""
    return (
        f"the weights take {format_value(held, 'B')} in float32 and the device has {format_value(there, 'B')}: the "
        "original may not load there at all"
    )
