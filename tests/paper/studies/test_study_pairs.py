import numpy as np
import pytest

from atomplete.data import content_hash
from atomplete.paper.studies.pair_sets import FAMILIES, RADIUS, family_study


def test_members_are_one_species_of_one_size_and_still_degenerate():
    study = family_study(17)
    assert len(study.data.structures) == 2 * 17 * len(FAMILIES)
    for plus, minus in zip(study.data.structures[::2], study.data.structures[1::2], strict=True):
        assert len({*plus.numbers, *minus.numbers}) == 1
        radii = [np.sort(np.linalg.norm(atoms.positions, axis=1)) for atoms in (plus, minus)]
        assert radii[0][-1] == pytest.approx(RADIUS)
        assert radii[0] == pytest.approx(radii[1])
    assert len({content_hash([atoms]) for atoms in study.data.structures}) == len(
        study.data.structures
    )


def test_no_pair_is_in_two_parts_and_each_family_is_in_all():
    study = family_study(24)
    parts = study.data.split.train, study.data.split.validation, study.data.split.test
    assert sorted(np.concatenate(parts)) == list(range(24 * len(FAMILIES)))
    for k, family in enumerate(FAMILIES):
        assert [np.sum(part // 24 == k) for part in parts] == [19, 2, 3]
        of_family = [pair for pair in study.data.split.test if pair // 24 == k]
        assert study.test_sets[family].tolist() == of_family
    assert study.test_sets["union"].tolist() == study.data.split.test.tolist()


def test_energies_belong_to_environments_and_differ_within_pairs():
    study = family_study(17)
    difference = (study.data.energies[::2] - study.data.energies[1::2]).view(len(FAMILIES), 17)
    assert (difference.square().mean(1).sqrt() > 0.02).all()
