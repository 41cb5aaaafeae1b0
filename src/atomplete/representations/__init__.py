"""Representations of atomic environments: from pair coefficients to labelled feature rows."""

from atomplete.representations.density_correlations import DensityCorrelations
from atomplete.representations.expansion import Expansion, ExpansionSpec
from atomplete.representations.features import Features
from atomplete.representations.specs import (
    NAMED,
    DensityCorrelationsSpec,
    RepresentationOptions,
    RepresentationSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
)
from atomplete.representations.streaming import Representation, build, concatenate, split, stream
from atomplete.representations.tagged_correlations import Equivariants, TaggedCorrelations
from atomplete.representations.three_center import ThreeCenter

__all__ = [
    "NAMED",
    "DensityCorrelations",
    "DensityCorrelationsSpec",
    "Equivariants",
    "Expansion",
    "ExpansionSpec",
    "Features",
    "Representation",
    "RepresentationOptions",
    "RepresentationSpec",
    "TaggedCorrelations",
    "TaggedCorrelationsSpec",
    "ThreeCenter",
    "ThreeCenterSpec",
    "build",
    "concatenate",
    "split",
    "stream",
]
