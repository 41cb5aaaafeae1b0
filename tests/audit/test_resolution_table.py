"""What resolves what, verdict by verdict: the published table of environments, by the audit."""

import pytest

from atomplete.audit import audit, diagnose, subject_of

DEG, OK = "blind", "separates"

COLUMNS = ("N0nu1", "N0nu2", "N0nu3", "N1nu1", "N1nu2", "N2nu1")

# Exact invariants: N tagged neighbours, ν correlated ones. Enantiomers are looked at under SO(3).
TABLE = {
    "distances": (DEG, OK, OK, OK, OK, OK),
    "prl_nu2": (DEG, DEG, OK, OK, OK, OK),
    "prl_nu3": (DEG, DEG, DEG, OK, OK, OK),
    "b8": (DEG, DEG, DEG, OK, OK, OK),
    "chiral": (DEG, DEG, DEG, DEG, OK, OK),
    "antipodal": (DEG, DEG, OK, DEG, OK, OK),
}


def verdicts(name, families, n):
    rows = audit([subject_of(name)], families, n=n, progress=False).rows
    return {f: {row.verdict for row in rows if row.family == f} for f in families}


def expected(column):
    place = COLUMNS.index(column)
    return {family: {row[place]} for family, row in TABLE.items()}


@pytest.mark.parametrize("column", COLUMNS)
def test_table(column):
    """A few members of each family; all of them are in the slow test."""
    assert verdicts(f"{column}?group=SO3", TABLE, 3) == expected(column)


@pytest.mark.slow
@pytest.mark.parametrize("column", COLUMNS)
def test_table_on_many_members(column):
    assert verdicts(f"{column}?group=SO3", TABLE, 24) == expected(column)


@pytest.mark.parametrize("name", ["dscribe:SOAP", "featomic:SoapPowerSpectrum"])
def test_soap_of_other_packages_is_nu2(name):
    pytest.importorskip(name.split(":")[0])
    assert verdicts(name, TABLE, 3) == expected("N0nu2")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dscribe:SOAP", "featomic:SoapPowerSpectrum"])
def test_soap_of_other_packages_is_nu2_on_many_members(name):
    pytest.importorskip(name.split(":")[0])
    assert verdicts(name, TABLE, 24) == expected("N0nu2")


def test_groups_are_found():
    """Two factors have no triple product, so that enantiomers are one whatever is asked for."""
    found = {c: diagnose(subject_of(f"{c}?group=SO3")).group for c in COLUMNS}
    handed = ("N0nu3", "N1nu2", "N2nu1")
    assert found == {c: "SO3" if c in handed else "O3" for c in COLUMNS}


def test_under_reflections_enantiomers_are_one():
    (row,) = audit([subject_of("N2nu1")], ["chiral"], n=1, progress=False).rows
    assert (row.verdict, row.group, row.reason) == ("blind", "O3", "congruent")


@pytest.mark.slow
def test_periodic_triples_are_as_invisible_to_nu2_as_finite_ones():
    families = ("antipodal_1d", "antipodal_2d", "antipodal_3d")
    assert set().union(*verdicts("N0nu2", families, 2).values()) == {DEG}
    assert set().union(*verdicts("N2nu1", families, 2).values()) == {OK}


def test_structures():
    """Distances of all centres: see kites, not polyhedra and triples; angles see them all."""
    families = ("kite_trapezoid", "polyhedra", "antipodal_structure", "crystal_1d", "crystal_3d")
    rows = audit([subject_of(x) for x in ("N0nu1", "N0nu2")], families, n=2, progress=False).rows
    found = {(row.subject, row.family): row.verdict for row in rows}
    assert found.pop(("N0nu1", "kite_trapezoid")) == OK
    for (subject, _), verdict in found.items():
        assert verdict == (DEG if subject == "N0nu1" else OK)
