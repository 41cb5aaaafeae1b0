from pathlib import Path

import ase
import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from atomplete.config import checked, descriptor_spec, read_mapping, resolve
from atomplete.descriptors import NAMED, DensityCorrelationsSpec, ExpansionSpec, NiceSpec
from atomplete.errors import InputError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int = 3


class Even(BaseModel):
    sizes: tuple[int, ...] | float | None = None

    @model_validator(mode="after")
    def _no_odd_sizes(self):
        if any(size % 2 for size in self.sizes or ()):
            raise ValueError("sizes must be even")
        return self


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    seed: int = Field(default=0, ge=0)
    workers: int = 1
    inner: Inner = Inner()
    even: Even = Even()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("seed: 5\ninner: {width: 7}\n")
    return path


def test_command_line_over_file_over_the_model(file):
    given = {"seed": None, "workers": None}
    assert resolve(Outer, None, given) == Outer()
    assert resolve(Outer, file, given) == Outer(seed=5, inner=Inner(width=7))
    assert resolve(Outer, file, {"seed": 0}).seed == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("24:00:00", "24:00:00"), ("010", "010"), ("1_000", "1_000"), ("1.2.3", "1.2.3")),
        *(("1e-3", 1e-3), ("-2.5", -2.5), (".5E+1", 5.0), ("1.", 1.0), (".inf", np.inf)),
        *(("0", 0), ("-3", -3), ("0x1f", 31), ("true", True), ("~", None), ("[1, a]", [1, "a"])),
        *(("190:20:30.15", "190:20:30.15"), ("1:30", "1:30"), ("2026-01-31", "2026-01-31")),
        *(("No", "No"), ("on", "on"), ("y", "y"), ("FALSE", False), ("0o17", "0o17")),
    ],
)
def test_numbers_are_those_of_yaml_1_2(tmp_path, text, value):
    (tmp_path / "o.yaml").write_text(f"n: {text}\n")
    found = read_mapping(tmp_path / "o.yaml", "options")["n"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3", "'a' is given twice"),
        ("a: {b: 1, c: 2, b: 3}", "'b' is given twice"),
        ("a: [{b: 1, b: 1}]", "'b' is given twice"),
        ("1: a\n'1': b", "'1' is given twice"),
        ("{[1, 2]: 3}", "unhashable key"),
        ("a: !!int abc", "invalid literal"),
        ("a: !!timestamp soon", "not YAML"),
        ("[" * 5000, "recursion"),
        ("a: &a {b: [*a]}", "recursive"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_what_is_no_yaml_is_said_in_one_sentence(tmp_path, text, words):
    (tmp_path / "o.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_mapping(tmp_path / "o.yaml", "options")
    assert str(caught.value).startswith(f"{tmp_path / 'o.yaml'}: not YAML (")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_may_be_named_and_used_again(tmp_path):
    (tmp_path / "o.yaml").write_text("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n")
    found = read_mapping(tmp_path / "o.yaml", "options")
    assert found == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}


@pytest.mark.parametrize("text", ["[]", "0", "false", "''", "a text", "- a: 1"])
def test_what_is_no_mapping_is_refused(tmp_path, text):
    (tmp_path / "o.yaml").write_text(text)
    with pytest.raises(InputError, match=r"o\.yaml: not options$"):
        read_mapping(tmp_path / "o.yaml", "options")


@pytest.mark.parametrize("species", [[6, 6], [0, 6], [-1], [119], [1, 6, 8, 1], [10**30]])
def test_species_of_a_spec_are_elements_each_once(species):
    spec = {"type": "density_correlations", "nu": [2]}
    with pytest.raises(InputError, match="must be different atomic numbers, from 1 on"):
        descriptor_spec({**spec, "expansion": {"species": species}})
    with pytest.raises(InputError, match="must be different atomic numbers, from 1 on"):
        descriptor_spec(spec, species=species)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_specs_hold_finite_numbers(value):
    for spec in (
        {"type": "density_correlations", "nu": [2], "expansion": {"cutoff": value}},
        {"type": "three_center", "tag_cutoff": value},
    ):
        with pytest.raises(InputError, match=r"is not a length from|should be a finite number"):
            descriptor_spec(spec)


def test_an_empty_file_gives_nothing(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing but a comment\n")
    assert resolve(Outer, tmp_path / "empty.yaml", {}) == Outer()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sede: 3", "run.yaml: unknown option sede"),
        ("inner: {widht: 3}", "run.yaml: unknown option inner.widht"),
        ("inner: {width: broad}", "run.yaml: option inner.width = 'broad' should be"),
        ("seed: -1", "run.yaml: option seed = -1 should be greater than or equal to 0"),
        ("seed: [1, 2]", r"run.yaml: option seed = \[1, 2\]"),
        # what a whole model refuses: not the model, and not that it was a ValueError
        ("even: {sizes: [2, 3]}", "run.yaml: option even: sizes must be even$"),
        # an error in one of several types: not the types
        ("even: {sizes: [2, x]}", r"run.yaml: option even.sizes.1 = 'x' should be"),
        ("even: {sizes: x}", "run.yaml: option even.sizes = 'x' should be"),
        ("seed: 1\nseed: 2", r"run.yaml: not YAML \('seed' is given twice in .*line 2"),
        ("inner:\n  width: 1\n  width: 1", "'width' is given twice"),
        ("- seed", "run.yaml: not a list of options"),
        ("seed: {", "run.yaml: not YAML"),
    ],
)
def test_one_sentence_for_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "run.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        resolve(Outer, path, {})
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_the_file_is_named_only_where_it_is_to_blame(file):
    with pytest.raises(
        InputError, match=r"^option seed = -1 should be greater than or equal to 0$"
    ):
        resolve(Outer, None, {"seed": -1})
    with pytest.raises(InputError, match=r"^option seed = -1 should"):
        resolve(Outer, file, {"seed": -1})
    file.write_text("seed: -1\nworkers: some\n")
    with pytest.raises(InputError, match=r"^.*run\.yaml: option workers = 'some' should be"):
        resolve(Outer, file, {"seed": 1})
    file.write_text("sizes: [1]\n")
    with pytest.raises(InputError, match=r"^.*run\.yaml: sizes must be even$"):
        resolve(Even, file, {})
    with pytest.raises(InputError, match=r"^sizes must be even$"):
        resolve(Even, None, {"sizes": [1]})


def test_a_missing_file():
    with pytest.raises(InputError, match=r"absent\.yaml: cannot be read"):
        resolve(Outer, Path("absent.yaml"), {})


def test_plain_data_is_checked_under_the_name_of_its_source():
    assert checked(Outer, {"seed": 2}, "settings").seed == 2
    with pytest.raises(InputError, match=r"^settings: unknown option inner\.x$"):
        checked(Outer, {"inner": {"x": 1}}, "settings")
    with pytest.raises(InputError, match=r"^settings = 3 should be a valid dictionary"):
        checked(Outer, 3, "settings")


STRUCTURES = [ase.Atoms("OH"), ase.Atoms("CO")]
BASIS = ExpansionSpec(max_radial=2, species=(1, 6))


@pytest.mark.parametrize("name", NAMED)
def test_a_name_is_a_spec_without_species(name):
    spec = descriptor_spec(name, structures=STRUCTURES)
    if "species" in type(spec).model_fields:
        expected = {"species": (1, 6, 8)}
    else:
        expected = {"expansion": ExpansionSpec(species=(1, 6, 8))}
    assert spec == NAMED[name].model_copy(update=expected)
    assert descriptor_spec(name) == NAMED[name]


def test_species_that_are_given_win_over_those_of_the_spec_and_of_the_structures():
    def species(given, **options):
        return descriptor_spec(given, **options).expansion.species

    power = DensityCorrelationsSpec(expansion=BASIS)
    for given in (power, power.model_dump(), {"type": "nice", "expansion": {"species": [1, 6]}}):
        assert species(given) == (1, 6)
        assert species(given, structures=STRUCTURES) == (1, 6)
        for chosen in ([8, 1], np.array([8, 1]), {8: "O", 1: "H"}):
            assert species(given, structures=STRUCTURES, species=chosen) == (8, 1)
    # with a row for each of the species that are found
    embedded = {"type": "nice", "expansion": {"embedding": [[1.0], [2.0], [3.0]]}}
    assert species(embedded, structures=STRUCTURES) == (1, 6, 8)


def test_options_of_a_spec_win_where_they_are_given():
    nice = NiceSpec(expansion=BASIS, components=0.99)
    assert descriptor_spec(nice, max_nu=None) == nice
    found = descriptor_spec(nice, cutoff=3.0, max_nu=6)
    expected = {"expansion": BASIS.model_copy(update={"cutoff": 3.0}), "max_nu": 6}
    assert found == nice.model_copy(update=expected)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("soap", {}, "descriptor 'soap' is none of radial_spectrum, power_spectrum"),
        (3, {}, "descriptor 3 is neither a name nor a spec"),
        (None, {}, "descriptor None is neither a name nor a spec"),
        ({"nu": [2]}, {}, "^descriptor: option type is missing$"),
        ({"type": "soap"}, {}, "^descriptor: option type = 'soap' is none of .*'three_center'"),
        ({"type": "nice", "expansion": 3}, {}, "descriptor: option expansion = 3 should"),
        (
            {"type": "nice", "candidates": None, "components": None, "nu": 1},
            {},
            "unknown option nu",
        ),
        (
            {"type": "nice", "components": "all"},
            {},
            "descriptor: option components = 'all' should",
        ),
        ({"type": "nice", "components": None}, {}, "^descriptor: candidates are chosen among"),
        ("three_center", {"components": (0, 0)}, "^three_center: option components = .0, 0.: "),
        ({"type": "nice"}, {"source": "o.yaml: spec", "nu": 1}, "^o.yaml: spec: unknown option nu"),
        ("bispectrum", {"components": (3, 2)}, "^bispectrum: unknown option components$"),
        ("pair", {"cutoff": -1.0}, "^pair: option expansion.cutoff = -1.0: the cutoff -1 Å is"),
        ("pair", {"species": ["H"]}, "^pair: option expansion.species.0 = 'H' should be"),
    ],
)
def test_what_is_no_spec_is_refused_in_one_sentence(given, options, message):
    with pytest.raises(InputError, match=message) as caught:
        descriptor_spec(given, structures=STRUCTURES, **options)
    assert "\n" not in str(caught.value)
