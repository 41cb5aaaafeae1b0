"""Energies and forces of reference methods and of ASE's calculators, resumable and in parallel."""

from atomplete.labels.campaign import label_file, label_structures
from atomplete.labels.card import LabelSummary
from atomplete.labels.journal import Journal
from atomplete.labels.label import Label, LabelMethod
from atomplete.labels.methods.ase_calculator import AseCalculator
from atomplete.labels.methods.named import get_method
from atomplete.labels.methods.pbe import PBE
from atomplete.labels.methods.xtb import XTB
from atomplete.labels.selection import Selection
from atomplete.labels.workers.calls import call_in_order
from atomplete.labels.workers.cluster import DaskWorkers, dask_client
from atomplete.labels.workers.local import LocalWorkers
from atomplete.labels.workers.slurm import slurm_cluster

__all__ = [
    "PBE",
    "XTB",
    "AseCalculator",
    "DaskWorkers",
    "Journal",
    "Label",
    "LabelMethod",
    "LabelSummary",
    "LocalWorkers",
    "Selection",
    "call_in_order",
    "dask_client",
    "get_method",
    "label_file",
    "label_structures",
    "slurm_cluster",
]
