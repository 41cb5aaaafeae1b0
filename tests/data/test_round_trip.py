"""Whatever a structure holds is read back as it was written, or refused in one sentence."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import example, given
from hypothesis import strategies as st

from atomplete.data import read_structures, write_structures
from atomplete.errors import InputError

# fmt: off
SPECIAL = st.sampled_from([
    "", "007", "T", "F", "true", "nan", "inf", "None", "null", "1e5", "1d5", "1_000", "1 2", "1,2",
    "[1]", "{1}", "_JSON 1", "a=b", "\\", "\\\\", "\\n", "'", '"', '""', "VEC1", "#", "a\tb",
])
NAMES = st.sampled_from([
    "note", "center", "charge", "time", "cell", "pbc", "numbers", "positions", "symbols", "species",
    "pos", "Z", "Lattice", "Properties", "comment", "virial", "move_mask", "calculator",
])
# fmt: on
TEXT = SPECIAL | st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers() | st.floats() | st.booleans()
VALUES = (
    TEXT
    | NUMBERS
    | st.none()
    | st.lists(TEXT | st.none() | NUMBERS, max_size=3)
    | st.lists(st.floats(), max_size=9).map(np.array)
    | st.dictionaries(TEXT, TEXT, max_size=2)
)


def same(read, value):
    """Equal as plain data, not a number equal to itself; independent of the package."""
    plain = [x.tolist() if hasattr(x, "tolist") else x for x in (read, value)]
    texts = [isinstance(x, str | dict) or x is None for x in plain]
    return texts[0] == texts[1] and repr(_numbers(plain[0])) == repr(_numbers(plain[1]))


def _numbers(value):
    if isinstance(value, list | tuple):
        return [_numbers(part) for part in value]
    return float(value) if isinstance(value, bool | int | float) and value == value else value


def refusal(path, structures):
    """What is wrong with the first of the structures, if they cannot be written."""
    try:
        write_structures(path, structures)
    except InputError as error:
        return str(error)
    return None


@given(st.dictionaries(TEXT | NAMES, VALUES, max_size=3), st.lists(TEXT, min_size=2, max_size=2))
def test_info_and_columns(tmp_path_factory, info, column):
    path = tmp_path_factory.getbasetemp() / "round_trip.xyz"
    atoms = Atoms("OH", positions=[[0, 0, 0], [0, 0, 1]], info=info)
    atoms.arrays["column"] = np.array(column)
    refused = refusal(path, [atoms, Atoms("H")])
    if refused is not None:
        assert "structure 0: it does not fit extended XYZ (" in refused
        assert "\n" not in refused
        return
    back, last = read_structures(path)
    assert last.symbols == "H"
    assert back.info.keys() == info.keys()
    assert all(same(back.info[key], value) for key, value in info.items())
    # what is written is what numpy holds: no text that ends in NUL
    assert back.arrays["column"].tolist() == np.array(column).tolist()


@given(TEXT)
@example('"\n')
@example('a "quoted" word')
def test_text_under_a_plain_name_survives_or_is_refused(tmp_path_factory, text):
    """ASE's writer loses some texts with line breaks, which the reading back finds."""
    path = tmp_path_factory.getbasetemp() / "text.xyz"
    refused = None
    try:
        write_structures(path, [Atoms("H", info={"note": text, "after": 1})])
    except InputError as error:
        refused = str(error)
    if refused is None:
        assert read_structures(path)[0].info == {"note": text, "after": 1}
    else:
        assert not text.isprintable()
        assert "structure 0: it does not fit extended XYZ" in refused


@pytest.mark.parametrize(
    "results",
    [
        {"energy": -1.0, "forces": np.eye(3)[:2], "stress": np.arange(6.0)},
        {"energy": -1.0, "free_energy": -1.1, "magmom": 2.0, "dipole": np.arange(3.0)},
        {"energies": np.arange(2.0), "charges": np.arange(2.0), "magmoms": np.arange(2.0)},
        {"stress": np.array([[1.0, 6, 5], [6, 2, 4], [5, 4, 3]])},
    ],
)
def test_results_survive(tmp_path, results):
    atoms = Atoms("OH", positions=[[0, 0, 0], [0, 0, 1]], cell=[2, 2, 2], pbc=True)
    atoms.calc = SinglePointCalculator(atoms, **results)
    write_structures(tmp_path / "a.xyz", [atoms])
    found = read_structures(tmp_path / "a.xyz")[0].calc.results
    assert found.keys() == results.keys()
    for name, value in results.items():
        if np.shape(value) == (3, 3) and name == "stress":
            value = value.ravel()[[0, 4, 8, 5, 2, 1]]
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    "info", [{"energy": "soon"}, {"stress": [[1, 2, 3], [0, 1, 0], [0, 0, 1]]}, {"magmom": None}]
)
def test_what_is_named_like_a_result_is_not_lost(tmp_path, info):
    """ASE takes it for a result; a stress that is not symmetric would lose half of itself."""
    refused = refusal(tmp_path / "a.xyz", [Atoms("H", info=info)])
    if refused is None:
        assert read_structures(tmp_path / "a.xyz")[0].calc.results == info
    else:
        assert "structure 0: it does not fit extended XYZ (" in refused
