from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.profiles import (
    FACT_NAMES,
    Fact,
    Match,
    OptionKnowledge,
    PowerKnowledge,
    ProcessorKnowledge,
    Profile,
    ProfileError,
    ProviderKnowledge,
    RuntimeKnowledge,
    Trap,
    parse_profile,
    tomllib,
)
from steelyard_agent.profiles.document import profile_to_json
from steelyard_agent.profiles.toml_text import toml_list, toml_string
from steelyard_agent.readings import Scope

GOOD = """
schema_version = 2
name = "board"
title = "A board"
[match]
device_tree_compatibles = ["maker,board"]
soc_compatibles = ["maker,chip"]
[processor]
cores = 4
features = ["asimd"]
lacks = ["i8mm"]
source = "manual"
[facts.memory]
value = "1 GB"
source = "data sheet"
[power]
kind = "ina3221"
scope = "module"
covers = "the module"
source = "guide"
[[runtimes]]
name = "onnxruntime"
when = "64-bit"
install = "pip install it"
source = "PyPI"
[[runtimes]]
name = "litert"
unavailable = "no wheel"
source = "PyPI"
[[providers]]
runtime = "onnxruntime"
name = "CUDAExecutionProvider"
needs = "CUDA"
source = "documentation"
[[options]]
name = "threads"
value = 4
why = "one a core"
source = "data sheet"
[[options]]
runtime = "onnxruntime"
provider = "CUDAExecutionProvider"
name = "device_id"
value = "0"
why = "there is one"
source = "documentation"
[[traps]]
text = "clocks move"
source = "guide"
"""


def test_a_good_text_is_a_profile():
    assert parse_profile(GOOD, "board.toml") == Profile(
        name="board",
        title="A board",
        match=Match(device_tree_compatibles=("maker,board",), soc_compatibles=("maker,chip",)),
        processor=ProcessorKnowledge(cores=4, features=("asimd",), lacks=("i8mm",), source="manual"),
        facts={"memory": Fact(value="1 GB", source="data sheet")},
        power=PowerKnowledge(kind="ina3221", scope=Scope.MODULE, covers="the module", source="guide"),
        runtimes=(
            RuntimeKnowledge(name="onnxruntime", when="64-bit", install="pip install it", source="PyPI"),
            RuntimeKnowledge(name="litert", unavailable="no wheel", source="PyPI"),
        ),
        providers=(
            ProviderKnowledge(
                runtime="onnxruntime", name="CUDAExecutionProvider", needs="CUDA", source="documentation"
            ),
        ),
        options=(
            OptionKnowledge(name="threads", value=4, why="one a core", source="data sheet"),
            OptionKnowledge(
                runtime="onnxruntime",
                provider="CUDAExecutionProvider",
                name="device_id",
                value="0",
                why="there is one",
                source="documentation",
            ),
        ),
        traps=(Trap(text="clocks move", source="guide"),),
    )


def test_a_profile_is_json_with_the_keys_of_its_file():
    record = profile_to_json(parse_profile(GOOD, "board.toml"))
    assert record["power"]["scope"] == "module"
    assert record["options"][0]["value"] == 4
    least = 'schema_version = 2\nname = "a"\ntitle = "b"\n[match]\nandroid = true\n'
    assert profile_to_json(parse_profile(least, "a.toml"))["power"] is None


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("schema_version = 2", "schema_version = 1", "schema_version is 1, expected 2"),
        ("schema_version = 2", "schema_version = 2\ncolour = 'red'", "unknown keys ['colour']"),
        ('name = "board"', "name = 5", "name is 5, not a text"),
        ('name = "board"', "", "name is missing"),
        ('name = "board"', 'name = ""', "name or title is empty"),
        ('name = "board"', 'name = "../board"', "name is '../board'"),
        ("[match]", "[match]\nserial = ['x']", "match has unknown keys ['serial']"),
        ("[match]", "[match]\nhypervisor = 'yes'", "match.hypervisor is 'yes'"),
        ('device_tree_compatibles = ["maker,board"]', "", "matches nothing"),
        ('["maker,board"]', '"maker,board"', "match.device_tree_compatibles is 'maker,board', not a list"),
        ('["maker,board"]', '[""]', "not a list of texts"),
        ("cores = 4", "cores = '4'", "processor.cores is '4'"),
        ("cores = 4", "cores = true", "processor.cores is True"),
        ("cores = 4", "cores = 0", "processor: cores is 0"),
        ('features = ["asimd"]', 'features = ["turbo"]', "features names 'turbo', which is not probed"),
        ('lacks = ["i8mm"]', 'lacks = ["asimd"]', "'asimd' is both in features and in lacks"),
        ('source = "manual"', "", "processor: source is missing"),
        ("[facts.memory]", "[facts.colour]", "facts ['colour'] are unknown"),
        ('source = "data sheet"\n[power]', "[power]", "facts.memory: source is missing"),
        ('value = "1 GB"', "value = 1", "facts.memory: value is 1, not a text"),
        ('value = "1 GB"', 'value = " "', "facts.memory: value is ' ', not a sentence"),
        ('value = "1 GB"', 'value = "1 GB"\nyear = 1', "facts.memory has unknown keys ['year']"),
        ('[facts.memory]\nvalue = "1 GB"\nsource = "data sheet"', "[facts]\nmemory = 1", "facts.memory is 1"),
        ('kind = "ina3221"', 'kind = "guess"', "power: kind is 'guess', not one of"),
        ('kind = "ina3221"', 'kind = "none"', "kind is 'none', which takes why"),
        ('covers = "the module"', "", "which takes scope and covers"),
        ('covers = "the module"', "covers = 1", "covers is 1, not a text"),
        ('scope = "module"', 'scope = "MODULE"', "power: scope is 'MODULE', not one of"),
        ('source = "guide"\n[[runtimes]]', "[[runtimes]]", "power: source is missing"),
        ('when = "64-bit"', 'when = "sunday"', "runtimes, entry 1: when is 'sunday', not one of"),
        ('install = "pip install it"', "", "takes either install or unavailable"),
        ('unavailable = "no wheel"', 'unavailable = "no"\ninstall = "x"', "runtimes, entry 2: runtime 'litert' takes"),
        ('unavailable = "no wheel"\nsource = "PyPI"', 'unavailable = "no"', "runtimes, entry 2: source is missing"),
        ('needs = "CUDA"', "needs = 12", "providers, entry 1: needs is 12, not a text"),
        ('needs = "CUDA"\nsource = "documentation"', 'needs = "CUDA"', "providers, entry 1: source is missing"),
        ("[[providers]]", "[[providers]]\nspeed = 1", "providers, entry 1 has unknown keys ['speed']"),
        ("value = 4", 'value = "four"', "options, entry 1: option 'threads' has the value 'four'"),
        ("value = 4", "value = true", "option 'threads' has the value True"),
        ("value = 4", "value = 0", "threads is 0"),
        ("value = 4", "value = 1.5", "value is 1.5, not a text, a whole number"),
        ("value = 4\n", "", "options, entry 1: value is missing"),
        ('name = "threads"\nvalue = 4', 'name = "cores"\nvalue = "fast"', "cores is 'fast', not one of"),
        ('name = "threads"', 'name = "speed"', "option 'speed' is unknown; known: arena, cores"),
        ('runtime = "onnxruntime"\nprovider', "provider", "names no runtime"),
        ('text = "clocks move"', 'text = ""', "traps, entry 1: text is ''"),
        ("[[traps]]", "[traps]", "traps is not a list of tables: write [[traps]]"),
        ("[match]", "[[match]]", "match is"),
        ("[match]", "[match", "board.toml"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_key(old, new, part):
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    with pytest.raises(ProfileError) as caught:
        parse_profile(text, "board.toml")
    sentence = str(caught.value)
    assert part in sentence
    assert sentence.startswith("device profile board.toml: ")
    assert (caught.value.reason, caught.value.exit_code) == ("invalid_profile", 2)


def test_power_that_cannot_be_read_says_why():
    text = GOOD.replace('kind = "ina3221"\nscope = "module"\ncovers = "the module"', 'kind = "none"\nwhy = "no sensor"')
    power = parse_profile(text, "board.toml").power
    assert power is not None
    assert (power.scope, power.sentence) == (None, "no sensor")


@given(st.text())
def test_any_text_is_a_profile_or_an_error_of_ours(text):
    with pytest.raises(ProfileError):
        parse_profile(text, "x.toml")


@given(
    facts=st.dictionaries(
        st.sampled_from(sorted(FACT_NAMES)), st.builds(lambda text: Fact(value=f"v{text}", source="s"), st.text())
    )
)
def test_facts_are_kept_as_they_are(facts):
    profile = Profile(name="a", title="b", match=Match(hypervisor=True), facts=facts)
    assert dict(profile.facts) == facts


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_text_survives_being_written_as_toml(texts):
    text = f"one = {toml_string(''.join(texts))}\nall = {toml_list(texts)}"
    assert tomllib.loads(text) == {"one": "".join(texts), "all": texts}
    assert all(character.isprintable() or character == "\n" for character in text)


def test_half_a_character_is_written_as_a_question_mark():
    assert toml_string("a\ud800b") == '"a?b"'
