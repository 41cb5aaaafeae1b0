"""Energies of atoms from tables of the kernel, in operations that TorchScript and export take."""

from typing import Any

import torch
from ase.data import atomic_numbers
from torch import Tensor, nn

from atomplete.kernel.tables import tables_of
from atomplete.o3.spherical_harmonics import raising


class Energies(nn.Module):
    """Energies of atoms of a potential that is linear in random Fourier features.

    The same numbers that :mod:`atomplete.kernel` reads, with one method for features of centres.
    Nothing here is checked: the engines that call it know what they list.

    Parameters
    ----------
    potential
        The potential.
    dtype
        Of the computation.

    Raises
    ------
    InputError
        For a potential that the kernel does not compute.
    """

    reference: Tensor
    coefficients: Tensor
    number_of: Tensor
    raising: Tensor
    choice: Tensor
    reach: Tensor
    lengths: Tensor
    charges: Tensor
    screening: Tensor
    odd_2: Tensor
    radial_0: Tensor
    radial_1: Tensor
    radial_2: Tensor
    forms_0: Tensor
    forms_1: Tensor
    forms_2: Tensor
    frequencies_0: Tensor
    frequencies_1: Tensor
    frequencies_2: Tensor
    phases_0: Tensor
    phases_1: Tensor
    phases_2: Tensor

    def __init__(self, potential: Any, dtype: torch.dtype) -> None:
        super().__init__()
        sizes, arrays = tables_of(potential)
        n_species, self.max_angular = len(sizes["species"]), int(sizes["max_angular"])
        self.max_radial, self.n_species = int(sizes["max_radial"]), n_species
        self.cutoff, self.tag_cutoff = float(sizes["cutoff"]), float(sizes["tag_cutoff"])
        self.decay_length = float(sizes["decay_length"])
        levels = [_level(arrays, sizes, n) for n in range(3)]
        for n_tagged, level in enumerate(levels):
            for name, value in level.items():
                self.register_buffer(f"{name}_{n_tagged}", value)
        for name in ("reference", "reach", "lengths", "charges", "screening"):
            self.register_buffer(name, torch.from_numpy(arrays[name]))
        matrices = torch.zeros(
            self.max_angular + 1, 2 * self.max_angular + 1, 3 * (2 * self.max_angular + 1)
        ).double()
        for l in range(1, self.max_angular + 1):
            matrix = raising(l)
            matrices[l, : matrix.shape[0], : matrix.shape[1]] = matrix
        self.register_buffer("raising", matrices)
        numbers = torch.zeros(n_species, n_species, dtype=torch.long)
        first, second = torch.triu_indices(n_species, n_species)
        numbers[first, second] = numbers[second, first] = torch.arange(len(first))
        self.register_buffer("choice", numbers)
        positions = torch.full((len(atomic_numbers),), -1)
        positions[list(sizes["species"])] = torch.arange(n_species)
        self.register_buffer("number_of", positions)
        self.register_buffer("coefficients", _joined(arrays, "cosines", "linear"))
        self.to(dtype)

    def forward(
        self, vectors: Tensor, i: Tensor, neighbor: Tensor, center: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Energies of centres, eV, and the features that they are linear in.

        Parameters
        ----------
        vectors
            From centre to neighbour, (pair, xyz), Å.
        i
            Centre of each pair, in any order, (pair,).
        neighbor, center
            Positions of species among those known, (pair,) and (center,).
        """
        order = torch.argsort(i, stable=True)
        vectors, i, neighbor = vectors[order], i[order], neighbor[order]
        features = self.features(vectors, i, neighbor, center)
        energies = (features * self.coefficients[center]).sum(1) + self.reference[center]
        pairs = self._repulsion(vectors, neighbor, center[i])
        return energies.index_add(0, i, pairs), features

    def features(self, vectors: Tensor, i: Tensor, neighbor: Tensor, center: Tensor) -> Tensor:
        """Cosines and channels, summed over rows: (center, feature); pairs sorted by centre."""
        r = torch.linalg.vector_norm(vectors, dim=1)
        harmonics = self._harmonics(vectors / r[:, None])
        radial = self._radial(r, neighbor)
        products = radial[:, :, None] * harmonics[:, None]
        density = torch.zeros(
            (center.shape[0], products.shape[1], products.shape[2]),
            dtype=vectors.dtype,
            device=vectors.device,
        ).index_add(0, i, products)
        near = torch.nonzero(r.detach() < self.tag_cutoff)[:, 0]
        owner, species = i[near], neighbor[near]
        weight = _cutoff(r[near], self.tag_cutoff)
        radial, harmonics = radial[near], harmonics[near]
        of_center = self._densities(density, self.radial_0)
        forms = torch.einsum("cxyz,ecz->ecxy", self.forms_0, of_center[2])
        values = torch.einsum("ecxy,ecx,ecy->ec", forms, of_center[0], of_center[1])
        centers = torch.arange(center.shape[0], device=i.device)
        one = torch.ones_like(centers).to(values.dtype)
        found_0 = self._summed(
            values, one, centers, center.shape[0], self.frequencies_0, self.phases_0[:1]
        )
        of_center = self._densities(density, self.radial_1)
        forms = torch.einsum("cxyz,ecz->ecxy", self.forms_1, of_center[2])
        forms = torch.einsum("ecxy,ecy->ecx", forms, of_center[1])
        values = (self._tagged(radial, harmonics, self.radial_1) * forms[owner]).sum(2)
        found_1 = self._summed(
            values, weight, owner, center.shape[0], self.frequencies_1, self.phases_1[species]
        )
        of_center = self._densities(density, self.radial_2)
        forms = torch.einsum("cxyz,ecz->ecxy", self.forms_2, of_center[1])
        tagged = self._tagged(radial, harmonics, self.radial_2)
        turned = (forms[owner] * tagged[:, :, None]).sum(3)
        one_of, other = _pairs_of_pairs(owner)
        values = (tagged[one_of] * turned[other]).sum(2)
        odd = self.odd_2
        values = torch.where(odd, values * values, values)
        phases = self.phases_2[self.choice[species[one_of], species[other]]]
        found_2 = self._summed(
            values,
            weight[one_of] * weight[other],
            owner[one_of],
            center.shape[0],
            self.frequencies_2,
            phases,
        )
        return torch.cat([found_0, found_1, found_2], 1)

    def _summed(
        self,
        values: Tensor,
        weight: Tensor,
        owner: Tensor,
        n_centers: int,
        frequencies: Tensor,
        phases: Tensor,
    ) -> Tensor:
        cosines = torch.cos(values @ frequencies + phases)
        rows = torch.cat([cosines, values], 1) * weight[:, None]
        zero = torch.zeros((n_centers, rows.shape[1]), dtype=rows.dtype, device=rows.device)
        return zero.index_add(0, owner, rows)

    def _radial(self, r: Tensor, neighbor: Tensor) -> Tensor:
        """Radial functions in the place of the species of each neighbour, (pair, species_n)."""
        n = torch.arange(1, self.max_radial + 1, device=r.device).to(r.dtype)
        reach = torch.full_like(r, -self.cutoff / self.decay_length).expm1()
        x = torch.expm1(-r / self.decay_length) / reach
        radial = torch.sin(torch.pi * n * x[:, None]) * _cutoff(r, self.cutoff)[:, None]
        known = torch.arange(self.n_species, device=r.device)
        here = (neighbor[:, None] == known).to(r.dtype)
        return (here[:, :, None] * radial[:, None]).flatten(1)

    def _harmonics(self, unit: Tensor) -> Tensor:
        found = [torch.full_like(unit[:, :1], (4 * torch.pi) ** -0.5)]
        for l in range(1, self.max_angular + 1):
            before = found[len(found) - 1]
            products = (unit[:, :, None] * before[:, None]).flatten(1)
            matrix = self.raising[l, : 2 * l + 1, : 3 * (2 * l - 1)]
            found.append(products @ matrix.T)
        return torch.cat(found, 1)

    def _tagged(self, radial: Tensor, harmonics: Tensor, weights: Tensor) -> Tensor:
        """Mixtures of each tagged neighbour, for the first factor, with the constant at the end."""
        first = weights[:, 0]
        mixed = (radial @ first.flatten(1)).unflatten(1, first.shape[1:]) * harmonics[:, None]
        return nn.functional.pad(mixed, [0, 1], value=1.0)

    def _densities(self, density: Tensor, weights: Tensor) -> Tensor:
        """Mixtures of densities for each factor, with the constant at the end."""
        mixed = torch.einsum("ekm,kfcm->fecm", density, weights)
        return nn.functional.pad(mixed, [0, 1], value=1.0)

    def _repulsion(self, vectors: Tensor, neighbor: Tensor, center: Tensor) -> Tensor:
        """Half of the repulsion of each pair, eV."""
        r = torch.linalg.vector_norm(vectors, dim=1)
        reach = self.reach[center, neighbor]
        close = r < reach
        # a ratio of one where nothing reaches, so that no derivative is infinite times zero
        ratio = torch.where(close, r, 1.0) / torch.where(close, reach, 1.0)
        x = r / self.lengths[center, neighbor]
        screened = (self.screening[:, 0] * torch.exp(-x[:, None] * self.screening[:, 1])).sum(1)
        whole = 0.5 * self.charges[center, neighbor] / r * screened
        return whole * _cutoff(2.0 * ratio - 1.0, 1.0)  # switched off from half the reach on


def _cutoff(r: Tensor, cutoff: float) -> Tensor:
    """The polynomial cutoff function that falls over the whole range."""
    x = ((cutoff - r) / cutoff).clamp(0.0, 1.0)
    return x * x * x * (10.0 + x * (6.0 * x - 15.0))


def _pairs_of_pairs(owner: Tensor) -> tuple[Tensor, Tensor]:
    """All pairs of entries of the same owner, each once; owners are sorted.

    Examples
    --------
    >>> _pairs_of_pairs(torch.tensor([0, 0, 0, 4, 4]))
    (tensor([0, 0, 1, 3]), tensor([1, 2, 2, 4]))
    """
    place = torch.arange(owner.shape[0], device=owner.device)
    after = torch.searchsorted(owner, owner, right=True) - 1 - place
    one = torch.repeat_interleave(place, after)
    first = torch.cumsum(after, 0) - after
    count = torch.arange(one.shape[0], device=owner.device)
    return one, one + 1 + count - first[one]


def _joined(arrays: dict[str, Any], *names: str) -> Tensor:
    """Arrays of all levels side by side."""
    found = [arrays[f"{name}_{n}"] for n in range(3) for name in names]
    return torch.cat([torch.from_numpy(array) for array in found], 1)


def _level(arrays: dict[str, Any], sizes: dict[str, Any], n_tagged: int) -> dict[str, Tensor]:
    """Arrays of rows with so many tagged neighbours, with dense forms."""
    of_level = {
        name: torch.from_numpy(arrays[f"{name}_{n_tagged}"])
        for name in (
            "radial",
            "frequencies",
            "phases",
            "paths",
            "entries",
            "couplings",
            "weights",
        )
    }
    orders = torch.tensor(
        [l for l in range(sizes["max_angular"] + 1) for _ in range(2 * l + 1)], dtype=torch.long
    )
    # (species, n, factor, l, channel)
    radial = of_level["radial"].index_select(3, orders).flatten(0, 1).transpose(2, 3)
    channels, size = sizes["channels"][n_tagged], len(orders) + 1
    path = torch.repeat_interleave(of_level["paths"].diff().long())
    x, y, z = of_level["entries"].long().T
    forms = torch.zeros(size, size, size, channels, dtype=torch.float64)
    values = of_level["couplings"][:, None] * of_level["weights"][path]
    forms.index_put_((x, y, z), values, accumulate=True)
    odd = torch.zeros(channels, dtype=torch.bool)
    odd[channels - sizes["odd"][n_tagged] :] = True
    return {
        "radial": radial.contiguous(),
        "forms": forms.permute(3, 0, 1, 2).contiguous(),
        "frequencies": of_level["frequencies"],
        "phases": of_level["phases"],
        "odd": odd,
    }
