"""Unit factors, and the distance at which atoms coincide.

Energies are in eV and lengths in Å everywhere else. The values are CODATA 2018, as in PySCF's own
conversion of Å to Bohr to within 1e-10.
"""

#: One Hartree in eV.
HARTREE = 27.211386245988

#: One Bohr radius in Å.
BOHR = 0.529177210903

#: Energy of two electrons times their distance, eV Å.
COULOMB = HARTREE * BOHR

#: One Hartree per Bohr in eV/Å.
HARTREE_PER_BOHR = HARTREE / BOHR

#: Atoms nearer than this coincide: no direction can be told between them, Å.
COINCIDENCE = 1e-3
