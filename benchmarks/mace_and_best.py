"""MACE and the row ``best`` on the same pairs, for the same wall time.

MACE has two layers of 32 scalars and 32 vectors, correlation 3 and a cutoff of 4 Å, 73 k parameters
in all, and learns energies; all atoms are centres. ``best`` learns forces as well; so does MACE
with ``--force-weight 1``. Both have the training pairs, choose on the validation pairs, and are
tested on the rest. ``mace-torch`` pins e3nn to 0.4.4, so give it an environment of its own:

    pip install -c constraints.txt torch && pip install -c constraints.txt -e '.[mace,dft]'
    python benchmarks/mace_and_best.py                              # computes the labels first
    python benchmarks/mace_and_best.py --labels FILE --minutes 20

A part that is done is not repeated: choose another folder to measure it again.
"""

import argparse
import os
import time
import warnings
from importlib.metadata import version
from math import cos, pi
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from side_by_side import machine

from atomplete.paper.best import BestSpec, fit_best
from atomplete.paper.data import LabelledPairs, labelled_file
from atomplete.paper.errors import pair_errors
from atomplete.paper.results import RowResult
from atomplete.runs.files import write_json
from atomplete.runs.progress import progress_of
from atomplete.runs.provenance import versions
from atomplete.runs.store import Store, identity_of
from atomplete.system import System
from atomplete.training.loss import Objective

#: Those of MACE's own trainer, but for the schedule, which has to end with the time.
BATCH_PAIRS, RATE, AVERAGE, LARGEST_GRADIENT = 5, 0.01, 0.99, 10.0
CUTOFF = 4.0
#: How often the validation pairs are looked at.
CHECKS = 20


class Mace:
    """A MACE model of structures of one element, in units of the spread of their energies."""

    def __init__(self, data: LabelledPairs):
        import mace.modules  # before e3nn, which then reads its own files
        from e3nn import o3

        interaction = mace.modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
        train = data.energies[data.groups(data.split.train)]
        self.structures, self.n_atoms = data.structures, len(data.structures[0])
        self.mean, self.spread = train.mean().item(), train.std().item()
        (element,) = set(data.structures[0].numbers.tolist())
        self.module = mace.modules.ScaleShiftMACE(
            r_max=CUTOFF, num_bessel=8, num_polynomial_cutoff=5, max_ell=3,
            interaction_cls=interaction, interaction_cls_first=interaction, num_interactions=2,
            hidden_irreps=o3.Irreps("32x0e + 32x1o"), MLP_irreps=o3.Irreps("16x0e"),
            correlation=3, gate=torch.nn.functional.silu, num_elements=1,
            atomic_numbers=[element], atomic_energies=torch.zeros(1).numpy(),
            avg_num_neighbors=self._system(range(100)).neighbor_counts.double().mean().item(),
            atomic_inter_scale=1 / self.n_atoms, atomic_inter_shift=0.0,
        )  # fmt: skip

    def _system(self, indices):
        atoms = [self.structures[index] for index in indices]
        return System.from_atoms(atoms, CUTOFF, centers="all", dtype=torch.float32)

    def __call__(self, groups, *, forces=False, training=False):
        """Energies (group, member), and forces, of molecules."""
        system = self._system(groups.flatten().tolist())
        n, zeros = len(system.cell), torch.zeros(len(system.i), 3)
        graph = {
            "positions": system.positions,
            "node_attrs": torch.ones(len(system.positions), 1),
            "edge_index": torch.stack([system.i, system.j]),
            "shifts": zeros,
            "unit_shifts": zeros,
            "cell": torch.zeros(3 * n, 3),
            "batch": system.structure,
            "ptr": torch.cat([system.first_atom, torch.tensor([len(system.positions)])]),
        }
        found = self.module(graph, training=training, compute_force=forces)
        return found["interaction_energy"].view(groups.shape), found["forces"]

    @torch.no_grad()
    def predict(self, groups):
        """Energies of pairs, eV."""
        parts = [self(part)[0] for part in groups.split(BATCH_PAIRS)]
        return torch.cat(parts).double() * self.spread + self.mean


class Training:
    """Adam with AMSGrad and averaged weights; the rate falls to zero as the time runs out."""

    def __init__(self, model, data, difference_weight, force_weight):
        from torch_ema import ExponentialMovingAverage  # comes with MACE

        self.model, self.data, self.force_weight = model, data, force_weight
        energies = (data.energies - model.mean) / model.spread
        pairs = energies[data.groups(data.split.train)]
        spread = (pairs[:, 0] - pairs[:, 1]).std().item()
        self.objective = Objective(energies.float(), difference_weight, spread)
        self.parameters = list(model.module.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, amsgrad=True)
        self.average = ExponentialMovingAverage(self.parameters, decay=AVERAGE)
        self.lowest, self.weights, self.steps = float("inf"), {}, 0

    def run(self, seconds):
        """Train for so long, and end with the weights that are best on the validation pairs."""
        start, groups = time.monotonic(), self.data.groups(self.data.split.train)
        part, queue = 0.0, []
        with progress_of("MACE", CHECKS, True) as step:
            for check in range(1, CHECKS + 1):
                while part < check / CHECKS:
                    queue = queue or list(groups[torch.randperm(len(groups))].split(BATCH_PAIRS))
                    rate = RATE * min(1, part / 0.02) * (1 + cos(pi * part)) / 2
                    self.optimizer.param_groups[0]["lr"] = rate
                    self.step(queue.pop())
                    part = min(1, (time.monotonic() - start) / seconds)
                self.check()
                step()
        self.model.module.load_state_dict(self.weights)

    def step(self, pairs):
        """Once down the gradient, for some pairs."""
        energies, forces = self.model(pairs, forces=self.force_weight > 0, training=True)
        loss = self.objective.loss(energies, pairs)
        if self.force_weight:
            loss = loss + self.force_weight * self.force_error(forces, pairs)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, LARGEST_GRADIENT)
        self.optimizer.step()
        self.average.update()
        self.steps += 1

    def force_error(self, forces, pairs):
        """Mean square error of the forces over their mean square."""
        indices = pairs.flatten().tolist()
        labels = torch.cat(
            [torch.as_tensor(self.data.structures[index].get_forces()) for index in indices]
        )
        error = forces * self.model.spread - labels.float()
        return error.square().mean() / labels.square().mean()

    def check(self):
        """Keep the averaged weights, if the product of both errors is the lowest so far."""
        with self.average.average_parameters():
            errors = errors_of(self.model.predict, self.data, self.data.split.validation)
            if errors.mean * errors.difference < self.lowest:
                self.lowest = errors.mean * errors.difference
                state = self.model.module.state_dict()
                self.weights = {name: value.clone() for name, value in state.items()}


def errors_of(predict, data, pairs):
    """Errors of a function of groups of structures on some pairs."""
    groups = data.groups(pairs)
    return pair_errors(predict(groups).numpy(), data.energies[groups].numpy())


def of_both(predict, data, start):
    """Errors on test and validation pairs, and seconds since ``start``."""
    seconds = time.monotonic() - start
    test, validation = (
        errors_of(predict, data, getattr(data.split, name)) for name in ("test", "validation")
    )
    return RowResult.of(test, validation, seconds)


def measure_best(data, folder, seed):
    """Fit and predict in a folder of its own, so that no earlier fit is taken up."""
    start = time.monotonic()
    with TemporaryDirectory(dir=folder) as parent:
        own = Path(parent) / "best"
        own.mkdir()
        energies = fit_best(BestSpec(), data, own, seed=seed, progress=True)
    return of_both(energies.__getitem__, data, start)


def measure_mace(data, seconds, options):
    """Train for so many seconds, with as many threads as the other has."""
    start = time.monotonic()
    torch.set_num_threads(BestSpec().fit.threads)
    torch.manual_seed(options.seed)
    training = Training(Mace(data), data, options.difference_weight, options.force_weight)
    training.run(seconds - (time.monotonic() - start))
    print(f"MACE: {training.steps} steps of {BATCH_PAIRS} pairs", flush=True)
    return of_both(training.model.predict, data, start)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", default="xtb", help="a labelled file, or xtb (default)")
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--minutes", type=float, help="of MACE (default: what best took)")
    parser.add_argument("--folder", type=Path, default=Path("runs/mace_and_best"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--difference-weight", type=float, default=0.02,
        help="of MACE's squared pair difference against the squared pair mean, each over its own "
        "variance",
    )  # fmt: skip
    parser.add_argument(
        "--force-weight", type=float, default=0.0,
        help="of MACE's squared force, over its variance; 0 is energies only",
    )  # fmt: skip
    return parser.parse_args()


def main():
    warnings.filterwarnings("ignore", message=".*TorchScript")  # of MACE, dozens
    options = parsed()
    options.folder.mkdir(parents=True, exist_ok=True)
    labels, pairs, seed = options.labels, options.pairs, options.seed
    file = labelled_file(labels, pairs, options.folder, workers=2, progress=True)
    data = LabelledPairs.read(file, pairs, seed)
    print(f"{data!r}\n{machine()}, load {os.getloadavg()[0]:.1f}", flush=True)
    results = {}

    def measure(name, identity, function):
        identity = identity_of(data.dataset.hash, seed, identity)
        results[name] = Store(options.folder).get(name, identity, RowResult, function)

    measure("best", BestSpec(), lambda: measure_best(data, options.folder, seed))
    seconds = 60 * options.minutes if options.minutes else results["best"].seconds
    trained = {
        "seconds": seconds, "difference_weight": options.difference_weight,
        "force_weight": options.force_weight,
    }  # fmt: skip
    measure("mace", trained, lambda: measure_mace(data, seconds, options))
    print("      seconds  mean, test  difference, test  mean, validation  difference, validation")
    for name, found in results.items():
        print(
            f"{name:5} {found.seconds:7.0f} {found.mean_error:11.4f} {found.difference_error:17.4f}"
            f" {found.validation_mean_error:17.4f} {found.validation_difference_error:23.4f}"
        )
    content = {
        "rows": {name: found.model_dump() for name, found in results.items()},
        "pairs": {name: len(getattr(data.split, name)) for name in ("train", "validation", "test")},
        "seed": seed,
        "mace": trained,
        "machine": machine(),
        "versions": versions() | {name: version(name) for name in ("mace-torch", "e3nn")},
    }
    write_json(options.folder / "mace_and_best.json", content)


if __name__ == "__main__":
    main()
