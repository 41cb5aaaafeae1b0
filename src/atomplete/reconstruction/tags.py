"""Tagged neighbours of three-centre rows: species, lengths and angle, read off each row alone.

A row is a product of three factors. Over the channels of the first neighbour it is proportional to
R_l(r1), over those of the second to R_l(r2). What is left couples the directions of the two with
the density, and its isotropic part is a Legendre series in the angle between them.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int

from atomplete.degenerate.congruence.alignment import Floats, Integers
from atomplete.descriptors import ThreeCenter
from atomplete.errors import InputError
from atomplete.o3 import clebsch_gordan, coupled_triples, lm_slice, spherical_harmonics

# Lengths that are tried first, in parts of the cutoff; then steps of Gauss–Newton.
_GRID, _STEPS = np.linspace(0.02, 1.0, 500), 8

# Neighbours are alike if their directions in the space of channels agree to this, although their
# lengths differ by more than this part of the cutoff.
_ALIKE, _APART = 1 - 1e-7, 0.02

# Of the lengths that are tried first, those that are compared with each other.
_EVERY = 5

# Step of differences of radial functions, in parts of the cutoff.
_DIFFERENCE = 1e-5


@dataclass(frozen=True)
class Tags:
    """Tagged neighbours of rows.

    Attributes
    ----------
    species
        (row, 2) positions of the species of both among those that the descriptor knows.
    lengths
        (row, 2) distances of both from the centre, Å.
    cosine
        (row,) of the angle between them.
    contracted
        (row, triple, channel) what is left of the rows when the channels of both are contracted.
    size
        (row,) norm of the rows.
    unexplained
        (row,) part of the norm that no two neighbours explain.
    """

    species: Int[np.ndarray, "row 2"]
    lengths: Float[np.ndarray, "row 2"]
    cosine: Float[np.ndarray, " row"]
    contracted: Float[np.ndarray, "row triple channel"]
    size: Float[np.ndarray, " row"]
    unexplained: Float[np.ndarray, " row"]


class TagReader:
    """Inverse of the two tagged factors of a three-centre descriptor.

    Parameters
    ----------
    descriptor
        Whose rows are read; they must not be projected on components.

    Raises
    ------
    InputError
        For projected rows, and for a basis in which a length or an angle has no trace, or two
        neighbours look the same.
    """

    def __init__(self, descriptor: ThreeCenter) -> None:
        descriptor.refuse_unfitted()
        basis = descriptor.spec.expansion
        channels = len(descriptor.spec.expansion.embedding or basis.species) * basis.max_radial
        if descriptor.even is not None:
            raise InputError(f"{descriptor!r}: rows are read before they are projected")
        if basis.max_radial < 2 or (descriptor.spec.radial_components or channels) < 2:
            raise InputError("one radial function tells no length: max_radial must be 2 or more")
        if basis.max_angular < 1:
            raise InputError("l = 0 alone tells no angle: max_angular must be 1 or more")
        self.descriptor = descriptor
        self.triples = coupled_triples(basis.max_angular)
        self._refuse_ambiguous()

    def _refuse_ambiguous(self) -> None:
        """Refuse a basis in which neighbours of other species or lengths look the same."""
        species, r = self._grid[0][::_EVERY], self._grid[1][::_EVERY]
        units = self._unit(species, r)
        alike = np.square(np.einsum("plq,rlq->lpr", units, units)).mean(axis=0)
        cutoff = self.descriptor.tag_cutoff
        other = (species[:, None] != species) | (np.abs(r[:, None] - r) > _APART * cutoff)
        one, two = np.unravel_index((alike * other).argmax(), alike.shape)
        if alike[one, two] * other[one, two] > _ALIKE:
            numbers = self.descriptor.spec.expansion.species
            raise InputError(
                f"neighbours of species {numbers[species[one]]} at {r[one]:.2f} Å and "
                f"{numbers[species[two]]} at {r[two]:.2f} Å look the same in this basis"
            )

    @cached_property
    def _grid(self) -> tuple[Integers, Floats]:
        """Species and lengths that are tried first."""
        n_species = len(self.descriptor.spec.expansion.species)
        species = np.repeat(np.arange(n_species), len(_GRID))
        return species, np.tile(_GRID * self.descriptor.tag_cutoff, n_species)

    @cached_property
    def _columns(self) -> list[Int[torch.Tensor, "q1 q2 q3"]]:
        """Features of each triple."""
        labels = self.descriptor.labels
        n_q = int(labels[:, 0].max()) + 1
        orders = labels[:, 1::2]
        return [
            (orders == torch.tensor(triple)).all(1).nonzero().view(n_q, n_q, n_q)
            for triple in self.triples
        ]

    @cached_property
    def couplings(self) -> Float[np.ndarray, "triple lm2 lm3"]:
        """Y[l1 0] C[l1 0; l2 m2; l3 m3]: the first neighbour lies on the axis z."""
        size = (self.descriptor.spec.expansion.max_angular + 1) ** 2
        found = np.zeros((len(self.triples), size, size))
        for position, (l1, l2, l3) in enumerate(self.triples):
            on_axis = np.sqrt((2 * l1 + 1) / (4 * np.pi))
            block = on_axis * clebsch_gordan(l1, l2, l3)[l1].numpy()
            found[position, lm_slice(l2), lm_slice(l3)] = block
        return found

    def radial(self, species: Integers, r: Floats) -> Float[np.ndarray, "point l channel"]:
        """R_l(r) in all channels, without the cutoff function."""
        basis, contraction = self.descriptor.spec.expansion, self.descriptor.radial
        weights = np.eye(len(basis.species)) if basis.embedding is None else basis.embedding
        of_species = np.asarray(weights, dtype=np.float64)[species]
        radial = self.descriptor.expansion.radial(torch.from_numpy(r)).numpy()
        channels = np.einsum("pa,pln->plan", of_species, radial)
        channels = channels.reshape(*radial.shape[:2], -1)
        if contraction is None:
            return channels
        return np.einsum("plc,lck->plk", channels, contraction.numpy())

    def amplitudes(self, species: Integers, r: Floats) -> Float[np.ndarray, "row triple"]:
        """|R_l1(r1)| f_c(r1) |R_l2(r2)| f_c(r2) of rows."""
        function = self.descriptor.spec.expansion.cutoff_function
        weight = function(torch.from_numpy(r), self.descriptor.tag_cutoff).numpy()
        norms = [
            np.linalg.norm(self.radial(species[:, tag], r[:, tag]), axis=2) * weight[:, tag, None]
            for tag in (0, 1)
        ]
        first, second = (np.array(self.triples)[:, tag] for tag in (0, 1))
        product: Floats = norms[0][:, first] * norms[1][:, second]
        return product

    def read(self, values: Float[torch.Tensor, "row feature"]) -> Tags:
        """Species, lengths and angle of the neighbours of each row."""
        n_l = self.descriptor.spec.expansion.max_angular + 1
        n_q = len(self._columns[0])
        values = values.to(torch.float64)
        blocks = [
            values[:, columns.flatten()].unflatten(1, (n_q,) * 3) for columns in self._columns
        ]
        grams = torch.zeros(2, len(values), n_l, n_q, n_q, dtype=torch.float64)
        for (l1, l2, _), block in zip(self.triples, blocks, strict=True):
            grams[0, :, l1] += torch.einsum("rabc,rdbc->rad", block, block)
            grams[1, :, l2] += torch.einsum("rabc,radc->rbd", block, block)
        found = [self._length(gram.numpy()) for gram in grams]
        species, lengths = (np.stack(columns, 1) for columns in zip(*found, strict=True))
        units = [torch.from_numpy(self._unit(species[:, t], lengths[:, t])) for t in (0, 1)]
        contracted = np.stack(
            [
                torch.einsum("rabc,ra,rb->rc", block, units[0][:, l1], units[1][:, l2]).numpy()
                for (l1, l2, _), block in zip(self.triples, blocks, strict=True)
            ],
            axis=1,
        )
        size = torch.linalg.vector_norm(values, dim=1).numpy()
        explained = np.square(contracted).sum(axis=(1, 2))
        left = np.maximum(size**2 - explained, 0.0) / np.where(size > 0, size, 1.0) ** 2
        return Tags(
            species,
            lengths,
            self._cosine(species, lengths, contracted),
            contracted,
            size,
            np.where(size > 0, np.sqrt(left), 1.0),
        )

    def _unit(self, species: Integers, r: Floats) -> Float[np.ndarray, "point l channel"]:
        """Directions of R_l(r) in the space of channels."""
        radial = self.radial(species, r)
        return radial / np.maximum(np.linalg.norm(radial, axis=2, keepdims=True), 1e-300)

    def _length(self, gram: Float[np.ndarray, "row l q q"]) -> tuple[Integers, Floats]:
        """Species and length whose directions explain most of the rows."""
        cutoff = self.descriptor.tag_cutoff
        species, grid = self._grid
        units = self._unit(species, grid)
        outer = np.einsum("plq,plk->plqk", units, units).reshape(len(grid), -1)
        best = (gram.reshape(len(gram), -1) @ outer.T).argmax(axis=1)
        species, r = species[best], grid[best]
        step = _DIFFERENCE * cutoff
        for _ in range(_STEPS):
            unit = self._unit(species, r)
            inside = np.minimum(r, cutoff - step)  # beyond, radial functions are constant
            slope = self._unit(species, inside + step) - self._unit(species, inside - step)
            slope /= 2 * step
            # so that an error of the slope does not move the solution
            slope -= unit * np.einsum("plq,plq->pl", unit, slope)[..., None]
            image = np.einsum("plqk,plk->plq", gram, unit)
            along = np.einsum("plq,plq->pl", unit, image)
            curvature = (along * np.square(slope).sum(axis=2)).sum(axis=1)
            change = np.einsum("plq,plq->p", slope, image) / np.maximum(curvature, 1e-300)
            change = np.clip(change, -0.01 * cutoff, 0.01 * cutoff)
            r = np.clip(r + change, 1e-3 * cutoff, (1 - 1e-12) * cutoff)
        return species.astype(np.int64), r

    def _cosine(
        self,
        species: Integers,
        lengths: Floats,
        contracted: Float[np.ndarray, "row triple channel"],
    ) -> Floats:
        """Cosine of the angle, from the parts l1 = l2 ≤ 1 that couple to the isotropic density."""
        amplitudes = self.amplitudes(species, lengths)
        isotropic, dipolar = (self.triples.index((l, l, 0)) for l in (0, 1))
        on_axis = spherical_harmonics(torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64), 1)[0]
        factors = self.couplings[:, : len(on_axis), 0] @ on_axis.numpy()
        parts = [
            contracted[:, k] / np.maximum(amplitudes[:, k, None] * factors[k], 1e-300)
            if factors[k] > 0
            else contracted[:, k] / np.minimum(amplitudes[:, k, None] * factors[k], -1e-300)
            for k in (isotropic, dipolar)
        ]
        square = np.square(parts[0]).sum(axis=1)
        cosine = (parts[0] * parts[1]).sum(axis=1) / np.where(square > 0, square, 1.0)
        return np.clip(cosine, -1.0, 1.0)
