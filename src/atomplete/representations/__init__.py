"""Representations of atomic environments: from pair coefficients to labelled feature rows."""

from atomplete.representations.chunks import split
from atomplete.representations.contraction import Kept
from atomplete.representations.density_correlations import DensityCorrelations
from atomplete.representations.estimate import Estimate, estimate
from atomplete.representations.expansion import Expansion, ExpansionSpec
from atomplete.representations.features import Features
from atomplete.representations.fused import FusedRows
from atomplete.representations.gradients import Gradients, gradients
from atomplete.representations.nice import Nice
from atomplete.representations.nice_block import BlockReport
from atomplete.representations.specs import (
    NAMED,
    NICE_COMPONENTS,
    DensityCorrelationsSpec,
    NiceSpec,
    RepresentationSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
)
from atomplete.representations.streaming import Representation, build, concatenate, stream
from atomplete.representations.tagged_correlations import Equivariants, TaggedCorrelations
from atomplete.representations.three_center import ThreeCenter

__all__ = [
    "NAMED",
    "NICE_COMPONENTS",
    "BlockReport",
    "DensityCorrelations",
    "DensityCorrelationsSpec",
    "Equivariants",
    "Estimate",
    "Expansion",
    "ExpansionSpec",
    "Features",
    "FusedRows",
    "Gradients",
    "Kept",
    "Nice",
    "NiceSpec",
    "Representation",
    "RepresentationSpec",
    "TaggedCorrelations",
    "TaggedCorrelationsSpec",
    "ThreeCenter",
    "ThreeCenterSpec",
    "build",
    "concatenate",
    "estimate",
    "gradients",
    "split",
    "stream",
]
