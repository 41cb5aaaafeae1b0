"""Descriptors of atomic environments: from pair coefficients to labelled feature rows."""

from atomplete.descriptors.base import AnyDescriptorSpec, Descriptor, DescriptorSpec
from atomplete.descriptors.contraction.contraction import Kept
from atomplete.descriptors.density.density_correlations import DensityCorrelations
from atomplete.descriptors.derivatives.gradients import Gradients, gradients
from atomplete.descriptors.evaluate import Estimate, concatenate, estimate, run, split
from atomplete.descriptors.expansion import Expansion, ExpansionSpec
from atomplete.descriptors.features import Features
from atomplete.descriptors.nice.block import BlockReport
from atomplete.descriptors.nice.nice import Nice
from atomplete.descriptors.random_fourier.random_fourier import RandomFourier
from atomplete.descriptors.random_fourier.spec import LevelSpec, RandomFourierSpec
from atomplete.descriptors.specs import (
    NAMED,
    NICE_COMPONENTS,
    DensityCorrelationsSpec,
    NiceSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
)
from atomplete.descriptors.tagged.fused import FusedRows
from atomplete.descriptors.tagged.tagged_correlations import Equivariants, TaggedCorrelations
from atomplete.descriptors.tagged.three_center import ThreeCenter
from atomplete.registry import build

__all__ = [
    "NAMED",
    "NICE_COMPONENTS",
    "AnyDescriptorSpec",
    "BlockReport",
    "DensityCorrelations",
    "DensityCorrelationsSpec",
    "Descriptor",
    "DescriptorSpec",
    "Equivariants",
    "Estimate",
    "Expansion",
    "ExpansionSpec",
    "Features",
    "FusedRows",
    "Gradients",
    "Kept",
    "LevelSpec",
    "Nice",
    "NiceSpec",
    "RandomFourier",
    "RandomFourierSpec",
    "TaggedCorrelations",
    "TaggedCorrelationsSpec",
    "ThreeCenter",
    "ThreeCenterSpec",
    "build",
    "concatenate",
    "estimate",
    "gradients",
    "run",
    "split",
]
