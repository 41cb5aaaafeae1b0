"""Energies and forces of reference methods: GFN2-xTB and PBE, resumable and in parallel."""

from atomplete.labels.campaign import LabelSummary, label_file, label_structures
from atomplete.labels.journal import Journal
from atomplete.labels.label import Label, LabelMethod, get_method
from atomplete.labels.pbe import PBE
from atomplete.labels.xtb import XTB

__all__ = [
    "PBE",
    "XTB",
    "Journal",
    "Label",
    "LabelMethod",
    "LabelSummary",
    "get_method",
    "label_file",
    "label_structures",
]
