"""MACE on the sets of ``potentials.py``, trained for some minutes on the same cores.

Two layers of 32 scalars and 32 vectors, correlation 3, a cutoff of 5 Å, some 84 k parameters,
single precision; batches of five molecules or one cell; energies per atom and forces with the
weights 1 and 100 of MACE's trainer, Adam with AMSGrad, averaged weights, and a rate that falls to
zero as the time runs out. One structure in twenty, at most 50, is kept to choose the weights by.
``mace-torch`` pins e3nn to 0.4.4, so give it an environment of its own:

    pip install -c constraints.txt torch && pip install -c constraints.txt -e '.[mace]'
    python benchmarks/mace_potentials.py DATA --only ethanol,Si --minutes 7 -o runs/mace.json
"""

import argparse
import json
import time
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from potentials import SETS, table

from atomplete.data.references import least_squares
from atomplete.runs.files import write_json
from atomplete.system import System

CUTOFF = 5.0
RATE, AVERAGE, LARGEST_GRADIENT = 0.01, 0.99, 10.0
#: Atoms of a batch, about.
BATCH = 45
#: How often the validation structures are looked at.
CHECKS = 20


class Mace:
    """A MACE model of some structures."""

    def __init__(self, structures):
        import mace.modules  # before e3nn, which then reads its own files
        from e3nn import o3

        self.species = sorted({int(z) for atoms in structures for z in atoms.numbers})
        counts = torch.tensor(
            [[np.sum(atoms.numbers == z) for z in self.species] for atoms in structures]
        ).double()
        energies = torch.tensor([atoms.get_potential_energy() for atoms in structures])
        references = least_squares(counts, energies.double()[:, None])[:, 0]
        forces = np.concatenate([atoms.get_forces() for atoms in structures])
        neighbors = System.from_atoms(structures[:50], CUTOFF).neighbor_counts
        self.module = mace.modules.ScaleShiftMACE(
            r_max=CUTOFF, num_bessel=8, num_polynomial_cutoff=5, max_ell=3,
            interaction_cls=mace.modules.interaction_classes[
                "RealAgnosticResidualInteractionBlock"
            ],
            interaction_cls_first=mace.modules.interaction_classes[
                "RealAgnosticResidualInteractionBlock"
            ],
            num_interactions=2, num_elements=len(self.species),
            hidden_irreps=o3.Irreps("32x0e + 32x1o"), MLP_irreps=o3.Irreps("16x0e"),
            correlation=3, gate=torch.nn.functional.silu, atomic_numbers=self.species,
            atomic_energies=references.numpy(),
            avg_num_neighbors=neighbors.double().mean().item(),
            atomic_inter_scale=float(np.sqrt((forces**2).mean())), atomic_inter_shift=0.0,
        )  # fmt: skip

    def graph(self, structures):
        """The input of MACE."""
        system = System.from_atoms(structures, CUTOFF)
        known = torch.tensor(self.species)
        pairs = torch.stack([system.i, system.j])
        positions = system.positions.float()
        between = system.positions[system.j] - system.positions[system.i]
        n_atoms = torch.tensor([len(system.positions)])
        return {
            "positions": positions,
            "node_attrs": (system.species[:, None] == known).float(),
            "edge_index": pairs,
            "shifts": (system.r_ij - between).float(),
            "unit_shifts": torch.zeros(len(system.i), 3),
            "cell": system.cell.float().flatten(0, 1),
            "batch": system.structure,
            "ptr": torch.cat([system.first_atom, n_atoms]),
        }

    def __call__(self, graph, *, training=False):
        """Energies, eV, and forces, eV/Å."""
        found = self.module({**graph}, training=training, compute_force=True)
        return found["energy"], found["forces"]


def batches_of(structures):
    """Structures with labels in batches, as they come."""
    size = max(1, BATCH // len(structures[0]))
    return [structures[start : start + size] for start in range(0, len(structures), size)]


def labelled(model, structures):
    """Graph, energies, forces and numbers of atoms."""
    energies = torch.tensor([atoms.get_potential_energy() for atoms in structures])
    forces = torch.from_numpy(np.concatenate([atoms.get_forces() for atoms in structures]))
    n_atoms = torch.tensor([len(atoms) for atoms in structures])
    return model.graph(structures), energies.double(), forces.double(), n_atoms


def errors(model, parts):
    """Errors in the units and names of ``potentials.py``."""
    of_energies, of_forces, sizes = [], [], []
    for graph, energies, forces, n_atoms in parts:
        predicted = model(graph)
        of_energies.append((predicted[0].double() - energies).detach())
        of_forces.append((predicted[1].double() - forces).detach().flatten())
        sizes.append(n_atoms)
    kinds = {"energy": torch.cat(of_energies), "forces": torch.cat(of_forces)}
    kinds["energy_per_atom"] = kinds["energy"] / torch.cat(sizes)
    found = {}
    for kind, values in kinds.items():
        found[f"{kind}_mae"] = round(1e3 * values.abs().mean().item(), 3)
        found[f"{kind}_rmse"] = round(1e3 * values.square().mean().sqrt().item(), 3)
    return found


def trained(structures, seconds, seed):
    """A model trained for so long, all included, with the weights best on validation structures."""
    from torch_ema import ExponentialMovingAverage  # comes with MACE

    start = time.monotonic()
    torch.manual_seed(seed)
    order = np.random.default_rng(seed).permutation(len(structures))
    n_validation = min(50, len(structures) // 20)
    validation = [structures[k] for k in order[:n_validation]]
    training = [structures[k] for k in order[n_validation:]]
    model = Mace(training)
    held_out = [labelled(model, batch) for batch in batches_of(validation)]
    parameters = list(model.module.parameters())
    optimizer = torch.optim.Adam(parameters, amsgrad=True)
    average = ExponentialMovingAverage(parameters, decay=AVERAGE)
    lowest, weights, steps, part, queue = float("inf"), {}, 0, 0.0, []
    for check in range(1, CHECKS + 1):
        while part < check / CHECKS:
            if not queue:
                shuffled = [training[k] for k in torch.randperm(len(training)).tolist()]
                queue = batches_of(shuffled)
            batch = queue.pop()
            graph, energies, forces, n_atoms = labelled(model, batch)
            optimizer.param_groups[0]["lr"] = RATE * min(1, part / 0.02) * (1 + cos(pi * part)) / 2
            predicted = model(graph, training=True)
            of_energies = (predicted[0].double() - energies) / n_atoms
            loss = of_energies.square().mean() + 100 * (predicted[1] - forces).square().mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
            optimizer.step()
            average.update()
            steps += 1
            part = min(1, (time.monotonic() - start) / seconds)
        with average.average_parameters():
            found = errors(model, held_out)["forces_rmse"]
            if found < lowest:
                lowest = found
                state = model.module.state_dict()
                weights = {name: value.clone() for name, value in state.items()}
        print(f"{part:.2f} of the time, {steps} steps, {found:.1f} meV/Å", flush=True)
    model.module.load_state_dict(weights)
    return model, steps


def measure(data, name, minutes, seed):
    """Errors on the parts of a test set after some minutes."""
    train, tests = SETS[name](data)
    start = time.monotonic()
    model, steps = trained(train, 60 * minutes, seed)
    found = {"set": name, "model": f"MACE {minutes:g} min", "seed": seed, "structures": len(train)}
    found |= {"seconds": round(time.monotonic() - start), "steps": steps}
    found["parameters"] = sum(value.numel() for value in model.module.parameters())
    for part, structures in tests.items():
        parts = [labelled(model, batch) for batch in batches_of(structures)]
        found[f"test {part}".strip()] = errors(model, parts)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/mace.json"))
    parser.add_argument("--only", default="ethanol,3bpa,Si")
    parser.add_argument("--minutes", default="7,30,60")
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    results = json.loads(given.output.read_text()) if given.output.exists() else []
    known = {(r["set"], r["model"], r["seed"]) for r in results}
    given.output.parent.mkdir(parents=True, exist_ok=True)
    for minutes in map(float, given.minutes.split(",")):
        for name in given.only.split(","):
            for seed in range(given.seeds):
                if (name, f"MACE {minutes:g} min", seed) not in known:
                    results.append(measure(given.data, name, minutes, seed))
                    write_json(given.output, results)
                    print(json.dumps(results[-1]), flush=True)
    print(table([{"memory_gb": float("nan"), **result} for result in results]))
