"""An interrupted audit goes on where it was, and ends as if nothing had happened."""

import json

import numpy as np
import pytest

from atomplete.audit import Diagnosis, PairVerdict, Separation, audit, subject_of
from atomplete.audit.run import FamilyVerdicts, identity_of_subject
from atomplete.audit.verdicts.pairs import family_pairs
from atomplete.audit.verdicts.separation import Response
from atomplete.runs.store import Store

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
        ".atomplete",
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


def test_verdicts_come_back_to_the_last_bit(tmp_path):
    """Also those that a subject does not describe, and a diagnosis with faults."""
    pairs, store = family_pairs("b8", 2), Store(tmp_path)
    nan, inf = float("nan"), float("inf")
    measured = Separation(1 / 3, nan, inf, 0.1, noisiest="rotated")
    moved = Response((1 / 7,), (nan,), (), None)
    rows = [
        PairVerdict.of("mine", pairs[0], "SO3", "broken", "why", measured, moved),
        PairVerdict.of("mine", pairs[1], "SO3", "undecided", "no boron"),
    ]
    diagnosis = Diagnosis(
        group="SO3",
        significant_bits=24,
        faults={"not finite": "1 of 9"},
        noise={"rotated": 1e-9 / 3},
        descriptions=9,
        not_finite=1,
    )
    made = FamilyVerdicts(rows=rows, diagnosis=diagnosis)
    for _ in range(2):
        assert store.get("one", "", FamilyVerdicts, lambda: made) == made
    assert (rows[0].separation, rows[0].structural_distance) == (None, 0.1)


def test_verdicts_depend_on_pairs_and_subject(tmp_path):
    subject, pairs = subject_of("N0nu1"), family_pairs("prl_nu2", 2)
    moved = family_pairs("prl_nu2", 2)
    moved[0].plus.positions[1] += np.array([1e-9, 0, 0])
    identities = {
        identity_of_subject(*what)
        for what in (
            (subject, pairs),
            (subject, family_pairs("prl_nu2", 2, 7)),
            (subject, moved),
            (subject_of("N0nu2"), pairs),
            (subject_of("N0nu1", {"max_radial": 2}), pairs),
        )
    }
    assert len(identities) == 5
    assert identity_of_subject(subject_of("N0nu1"), family_pairs("prl_nu2", 2)) in identities


def test_a_store_is_asked_first(tmp_path, monkeypatch):
    store = Store(tmp_path)
    first = audit([subject_of("N0nu1")], ["prl_nu2"], n=2, store=store, progress=False)
    monkeypatch.setattr("atomplete.audit.run.separation", None)
    again = audit([subject_of("N0nu1")], ["prl_nu2"], n=2, store=store, progress=False)
    assert again.rows == first.rows
