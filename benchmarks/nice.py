"""NICE to ν = 7 on the 8000 environments of the B8 pairs: time, memory, and what survives.

    python benchmarks/nice.py                                  # the whole, and its report
    python benchmarks/nice.py --pairs 500 --candidates 500 1000 2000

With several bounds on the candidates it shows what they cost and what they leave of the difference
between the members of pair 0, which products of up to three densities do not see.
"""

import argparse
import os
import resource
import time

import torch
from side_by_side import Measurement, machine

from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import NICE_COMPONENTS, Nice, NiceSpec, concatenate, run
from atomplete.system import System

N_PAIRS = 4000
SECONDS, GIGABYTES = 300.0, 4.0


def evaluate(n_pairs, **options):
    """The fitted descriptor, its features, and the seconds of fit and evaluation."""
    spec = NiceSpec(max_nu=7, components=NICE_COMPONENTS, **options)
    start = time.perf_counter(), time.process_time()
    system = System.from_atoms(generate("b8", n_pairs), spec.expansion.cutoff, centers="info")
    descriptor = Nice(spec).fit([system])
    fitted = time.perf_counter()
    with torch.no_grad():
        features = concatenate(list(run(descriptor, system)))
    seconds = {
        "fit": fitted - start[0],
        "evaluation": time.perf_counter() - fitted,
        "processor": time.process_time() - start[1],
    }
    return descriptor, features, seconds


def differences(descriptor, features):
    """‖ξ(+) − ξ(−)‖ / ‖ξ(+)‖ of pair 0, of scalars and pseudoscalars of each order ν ≥ 4."""
    found = {}
    for sigma in (1, -1):
        for nu in range(4, 8):
            part = (descriptor.nu == nu) & (descriptor.parity == sigma)
            plus, minus = features.values[:2, part]
            norm = torch.linalg.vector_norm
            found[nu, sigma] = (norm(plus - minus) / norm(plus)).item()
    return found


def gigabytes():
    """The most memory that the process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure():
    _, features, seconds = evaluate(N_PAIRS)
    n_centers, n_features = features.values.shape
    what = f"NICE to ν = 7, {n_centers} environments × {n_features} features"
    total = seconds["fit"] + seconds["evaluation"]
    return [
        Measurement(what, total, SECONDS, "s", "at most", SECONDS / total, 1.0),
        Measurement(what, gigabytes(), GIGABYTES, "GB", "at most", GIGABYTES / gigabytes(), 1.0),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=N_PAIRS)
    default = NiceSpec.model_fields["candidates"].default
    parser.add_argument("--candidates", type=int, nargs="+", default=[default])
    options = parser.parse_args()
    torch.set_num_threads(2)
    print(machine())
    for candidates in options.candidates:
        load = os.getloadavg()[0]
        descriptor, features, seconds = evaluate(options.pairs, candidates=candidates)
        print(f"\ncandidates {candidates}, other load {load:.1f}: {features}")
        print(", ".join(f"{what} {time_of:.0f} s" for what, time_of in seconds.items()))
        print(f"at most {gigabytes():.2f} GB until now; relative differences of pair 0:")
        for (nu, sigma), value in differences(descriptor, features).items():
            print(f"  ν = {nu}, σ = {sigma:+d}: {value:.4e}")
        if len(options.candidates) == 1:
            print(*descriptor.kept, sep="\n")


if __name__ == "__main__":
    main()
