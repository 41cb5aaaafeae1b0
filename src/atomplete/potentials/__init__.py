"""Potentials: energies of structures from descriptors, and from tight binding."""

from atomplete.potentials.base import Potential
from atomplete.potentials.descriptor_potential import DescriptorPotential, DescriptorPotentialSpec
from atomplete.potentials.repulsion import ZBL
from atomplete.potentials.tight_binding.pair_features import PairBasisSpec
from atomplete.potentials.tight_binding.tight_binding import TightBinding, TightBindingSpec

__all__ = [
    "ZBL",
    "DescriptorPotential",
    "DescriptorPotentialSpec",
    "PairBasisSpec",
    "Potential",
    "TightBinding",
    "TightBindingSpec",
]
