"""Tagged neighbours for other packages' descriptors: verdicts, cost and a learning curve.

    OMP_NUM_THREADS=1 python benchmarks/tagged.py verdicts 'dscribe:SOAP?tags=1' -n 20
    OMP_NUM_THREADS=1 RAYON_NUM_THREADS=1 python benchmarks/tagged.py times
    OMP_NUM_THREADS=1 python benchmarks/tagged.py methane energies.xyz
    OMP_NUM_THREADS=1 python benchmarks/tagged.py rings

``verdicts`` audits subjects on all families. ``times`` describes environments of 4 and 7 neighbours
with each, side by side. ``methane`` fits energies of random methane by a ridge on the sums of SOAP
of DScribe, the same with none, one and two tags; the file has energies of CH4 (Materials Cloud
2020.110), in any format of ASE. ``rings`` does so with the B8 pairs, seen from their centres, and
GFN2-xTB.
"""

import argparse
import time
from pathlib import Path

import ase.io
import numpy as np
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from atomplete.audit import Scope, Subject, TaggedTransformer, audit, subject_of, tagged
from atomplete.audit.subjects.of_dscribe import DscribeSubject
from atomplete.degenerate.families.registry import FAMILIES, generate
from atomplete.degenerate.random_structures import random_environment

SO4 = Path(__file__).with_name("so4.py")
# symmetry functions of pairs of neighbours, without a cutoff of the distance between the two
G5 = [[0.1, zeta, sign] for zeta in (1, 2, 4) for sign in (1, -1)]
RADIAL_ONLY = {"g4_params": None}
SUBJECTS = {
    "ACSF G2": DscribeSubject("dscribe:ACSF", RADIAL_ONLY),
    "ACSF G2 G4": "dscribe:ACSF",
    "ACSF G2 G5": DscribeSubject("dscribe:ACSF", {**RADIAL_ONLY, "g5_params": G5}),
    "LMBTR": "dscribe:LMBTR",
    "SOAP dscribe": "dscribe:SOAP",
    "SOAP featomic": "featomic:SoapPowerSpectrum",
    "SO(4) one density": f"{SO4}:weighted",
    "SO(4) by species": f"{SO4}:bispectrum",
    "SO(3) bispectrum": "bispectrum?max_radial=2",
    "ACE up to four": "nu4?max_radial=1",
}


def made(text: str) -> Subject:
    """A subject of the list above with tags, ``SOAP dscribe?tags=2``, or any other by its name."""
    place, _, tags = text.partition("?tags=")
    given = SUBJECTS.get(place)
    if given is None:
        return subject_of(text)
    subject = subject_of(given) if isinstance(given, str) else given
    subject = tagged(subject, int(tags)) if tags else subject
    subject.name = text
    return subject


def verdicts(names: list[str], n: int, families: list[str]) -> None:
    for subject in map(made, names):
        start = time.perf_counter()
        rows = audit([subject], families or None, n=n, progress=False).rows
        for family in FAMILIES.values():
            found = [row.verdict for row in rows if row.family == family.name]
            equal = "equal" if family.congruent or family.group == "SO3" else "blind"
            counts = {v: found.count(v) for v in dict.fromkeys(found)}
            text = ", ".join(f"{equal if v == 'blind' else v} {c}" for v, c in counts.items())
            if found:
                print(f"{subject.name} | {family.letter} {family.name} | {text}", flush=True)
        print(f"{subject.name} | {n} members, {time.perf_counter() - start:.0f} s", flush=True)


def times(names: list[str]) -> None:
    """Milliseconds of one core for one environment, the least of three runs of ten each."""
    for n in (4, 7):
        scope = Scope("environment", 2.4, (5,))
        structures = [
            random_environment((5,) * (n + 1), 2.0, np.random.default_rng(k)) for k in range(10)
        ]
        for name in names or SUBJECTS:
            cells = []
            for subject in (made(name), made(f"{name}?tags=1"), made(f"{name}?tags=2")):
                subject.describe(structures[:1], scope)
                taken = []
                for _ in range(3):
                    start = time.process_time()
                    subject.describe(structures, scope)
                    taken.append((time.process_time() - start) / len(structures))
                cells.append(f"{1e3 * min(taken):.2g}")
            print(f"{name} | {n} neighbours | {' | '.join(cells)} ms", flush=True)


def methane(file: str, sizes: list[int], n_test: int) -> None:
    """Errors of energies, by the number of structures fitted, for three draws of these."""
    structures = ase.io.read(file, ":")[: 2 * max(sizes) + n_test]
    energies = np.array([atoms.get_potential_energy() for atoms in structures])
    n_functions = 512
    soap = TaggedTransformer(
        "dscribe:SOAP?r_cut=5,n_max=6,l_max=4,sigma=0.4", tags=2, n_functions=n_functions
    ).fit(structures[:200])
    start = time.perf_counter()
    features = soap.transform(structures)
    print(f"{1e3 * (time.perf_counter() - start) / len(structures):.2g} ms a structure, two tags")
    # a block for each species of the centre and number of tags, by number of tags
    features = features.reshape(len(structures), -1, 3, n_functions)
    plain = subject_of("dscribe:SOAP?r_cut=5,n_max=6,l_max=4,sigma=0.4")
    rows = plain.describe(structures, Scope("structure", 5.0, (1, 6)))
    linear = np.stack([np.concatenate([row[0], row[1:].sum(0)]) for row in rows])
    inputs = {"SOAP, linear": linear}
    for tags, label in enumerate(("SOAP, cosines", "one tag", "two tags")):
        chosen = features[:, :, : tags + 1].reshape(len(structures), -1)
        inputs[label] = np.concatenate([linear, chosen], axis=1)
    test = np.arange(len(structures) - n_test, len(structures))
    for size in sizes:
        for label, x in inputs.items():
            errors = [error(x, energies, test, size, seed) for seed in range(3)]
            spread = np.std(energies[test])
            text = f"{np.mean(errors):.3f} ± {np.std(errors):.3f} eV"
            text += f" ({np.mean(errors) / spread:.1%})"
            print(f"{size} | {label} | {x.shape[1]} | {text}", flush=True)


def rings(n_pairs: int, n_test: int) -> None:
    """Errors of GFN2-xTB energies of the B8 pairs, that SOAP confuses: of means and differences."""
    from tblite.ase import TBLite

    structures = generate("b8", n_pairs)
    for atoms in structures:
        atoms.calc = TBLite(method="GFN2-xTB", electronic_temperature=3157.75, verbosity=0)
    energies = np.array([atoms.get_potential_energy() for atoms in structures])
    n_functions = 512
    soap = TaggedTransformer("dscribe:SOAP", tags=1, cutoff=2.5, n_functions=n_functions)
    features = soap.fit_transform(structures)
    n = len(structures) - 2 * n_test
    for label, x in (("none", features[:, :n_functions]), ("one tag", features)):
        # the penalty is chosen by what single structures say, or by whole pairs that are left out
        for left_out, cv in (("structures", None), ("pairs", 5)):
            model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-8, 4, 13), cv=cv))
            predicted = model.fit(x[:n], energies[:n]).predict(x[n:])
            for what, sign in (("mean", 1), ("difference", -1)):
                true, found = (e[0::2] + sign * e[1::2] for e in (energies[n:], predicted))
                ratio = np.std(found - true) / np.std(true)
                print(f"{label} | {left_out} left out | {what} | {ratio:.3f}", flush=True)


def error(x, energies, test, size, seed) -> float:
    """Root mean square error; the penalty is chosen on a fifth of what is fitted."""
    chosen = np.random.default_rng(seed).permutation(test[0])[:size]
    scaler = StandardScaler().fit(x[chosen])
    fitted, held = chosen[size // 5 :], chosen[: size // 5]

    def ridge(penalty, rows):
        return Ridge(penalty).fit(scaler.transform(x[rows]), energies[rows])

    def rmse(model, rows):
        return np.sqrt(np.mean((model.predict(scaler.transform(x[rows])) - energies[rows]) ** 2))

    penalty = min(np.logspace(-8, 4, 13), key=lambda p: rmse(ridge(p, fitted), held))
    return rmse(ridge(penalty, chosen), test)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("verdicts", "times", "methane", "rings"))
    parser.add_argument("names", nargs="*", help="subjects, or the file of methane")
    parser.add_argument("-n", type=int, default=20, help="members of each family")
    parser.add_argument("--families", default="", help="names with commas; all by default")
    parser.add_argument("--sizes", default="100,200,400", help="structures fitted")
    parser.add_argument("--test", type=int, default=300, help="structures tested on")
    given = parser.parse_args()
    if given.what == "verdicts":
        verdicts(given.names, given.n, [name for name in given.families.split(",") if name])
    elif given.what == "times":
        times(given.names)
    elif given.what == "rings":
        rings(600, 100)
    else:
        methane(given.names[0], [int(n) for n in given.sizes.split(",")], given.test)
