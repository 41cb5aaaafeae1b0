"""Files of structures: reading, checking, writing, pairing and splitting."""

from atomplete.data.pairs import Pairs, PairSplit, pair_structures, split_pairs
from atomplete.data.validation import validate
from atomplete.data.xyz import energies, read_structures, write_structures
from atomplete.runs.files import atomic_write
from atomplete.runs.fingerprint import content_hash

__all__ = [
    "PairSplit",
    "Pairs",
    "atomic_write",
    "content_hash",
    "energies",
    "pair_structures",
    "read_structures",
    "split_pairs",
    "validate",
    "write_structures",
]
