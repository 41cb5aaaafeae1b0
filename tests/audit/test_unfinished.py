"""An interrupted audit goes on where it was, and ends as if nothing had happened."""

import json

import numpy as np
import pytest

from atomplete.audit import Diagnosis, Row, Unfinished, audit, subject_of
from atomplete.audit.verdicts.measure import Perturbed
from atomplete.audit.verdicts.pairs import family_pairs
from atomplete.audit.verdicts.verdict import Measured

# environments of b8 have 8 atoms, those of prl_nu2 5, of antipodal 7, of the diagnosis 6
SOURCE = """
from pathlib import Path
import numpy as np

def distances(atoms, center):
    with Path("calls.txt").open("a") as file:
        file.write(f"{len(atoms)}\\n")
    if len(atoms) == 7 and Path("stop").exists():
        raise KeyboardInterrupt
    r = np.delete(atoms.get_distances(center, range(len(atoms))), center)
    return [np.sum(r**k) for k in range(1, 4)]
"""
FAMILIES = ("--families", "b8,prl_nu2,antipodal", "-n", "2", "--quiet")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE)
    return tmp_path


@pytest.fixture
def interrupted(folder, atomplete):
    """An audit that was stopped within the third family."""
    (folder / "stop").touch()
    assert atomplete("audit", "N0nu1", "mine.py:distances", *FAMILIES, "-o", "out").code == 130
    assert not (folder / "out" / "audit.json").exists()
    assert calls(folder) == {5, 6, 7, 8}
    (folder / "stop").unlink()
    (folder / "calls.txt").unlink()
    return folder


def calls(folder):
    """Sizes of the structures that the function was called with."""
    return set(map(int, (folder / "calls.txt").read_text().split()))


def finished(atomplete, output):
    outcome = atomplete("audit", "N0nu1", "mine.py:distances", *FAMILIES, "-o", output)
    assert outcome.code == 0, outcome.err


def test_a_rerun_goes_on_after_the_last_family(interrupted, atomplete):
    finished(atomplete, "out")
    assert calls(interrupted) == {7}
    assert sorted(path.name for path in (interrupted / "out").iterdir()) == [
        "audit.json",
        "run.json",
    ]
    finished(atomplete, "undisturbed")
    assert calls(interrupted) == {5, 6, 7, 8}
    for name in ("audit.json", "run.json"):
        one, other = (
            json.loads((interrupted / place / name).read_text()) for place in ("out", "undisturbed")
        )
        if name == "run.json":
            assert one.pop("written") <= other.pop("written")
        assert one == other


@pytest.mark.parametrize("change", ["source", "option"])
def test_after_a_change_it_starts_over(interrupted, atomplete, change):
    if change == "source":
        (interrupted / "mine.py").write_text(SOURCE.replace("range(1, 4)", "range(1, 5)"))
        finished(atomplete, "out")
    else:
        arguments = ("mine.py:distances", *FAMILIES, "--seed", "3", "-o", "out")
        assert atomplete("audit", *arguments).code == 0
    assert calls(interrupted) == {5, 6, 7, 8}
    assert not (interrupted / "out" / ".unfinished").exists()


def test_rows_come_back_to_the_last_bit(tmp_path):
    """Also those without numbers, and with some that are not finite."""
    pairs, kept = family_pairs("b8", 2), Unfinished(tmp_path, "")
    nan, inf = float("nan"), float("inf")
    measured = Measured(difference=1 / 3, noise=nan, typical=inf, distance=0.1, noisiest="rotated")
    rows = [
        Row(
            "mine",
            pairs[0],
            "SO3",
            "broken",
            "why",
            measured,
            Perturbed((1 / 7,), (nan,), (), None),
        ),
        Row("mine", pairs[1], "SO3", "undecided", "no boron", None),
    ]
    diagnosis = Diagnosis("SO3", 24, {"not finite": "1 of 9"}, {"rotated": 1e-9 / 3}, 9, 1, "O3")
    kept.keep("mine", pairs, rows, diagnosis)
    assert repr(kept.find("mine", pairs)) == repr((rows, diagnosis))


def test_pairs_of_another_seed_are_others(tmp_path):
    kept = Unfinished(tmp_path, "")
    audit([subject_of("N0nu1")], ["prl_nu2"], n=2, unfinished=kept, progress=False)
    pairs, others = (family_pairs("prl_nu2", 2, seed) for seed in (None, 7))
    assert kept.find("N0nu1", pairs) is not None
    assert kept.find("N0nu1", others) is None
    assert kept.find("N0nu2", pairs) is None
    moved = family_pairs("prl_nu2", 2)
    moved[0].plus.positions[1] += np.array([1e-9, 0, 0])
    assert kept.find("N0nu1", moved) is None
