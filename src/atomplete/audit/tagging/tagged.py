"""Any subject that knows species, with tagged neighbours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float

from atomplete.audit.subjects.of_descriptor import reference_environments
from atomplete.audit.subjects.subject import Basis, Rows, Scope, Subject, described_centers
from atomplete.audit.tagging.choices import Environment
from atomplete.audit.tagging.sums import TaggedSums
from atomplete.errors import InputError


class TaggedSubject(Subject):
    """A subject whose tagged neighbours are species of their own; see `tagged`."""

    def __init__(self, subject: Subject, tags: Any) -> None:
        self.name = f"{subject.name}{',' if '?' in subject.name else '?'}tags={tags}"
        if isinstance(tags, bool) or tags not in (1, 2):
            raise InputError(f"{subject.name}: tags = {tags!r} is neither 1 nor 2")
        if "environment" not in subject.levels:
            raise InputError(
                f"{subject.name} describes no environments, so there are no neighbours to tag"
            )
        self.subject, self.tags = subject, int(tags)
        self.levels, self.group = subject.levels, subject.group
        self.package, self.cutoff = subject.package, subject.cutoff
        self._recent: dict[Scope, TaggedSums] = {}

    def describe(self, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
        """Sums of the centre, or of all atoms, of each structure."""
        sums = self._sums(scope)
        return [sums.values(atoms, described_centers(atoms, scope)) for atoms in structures]

    def jacobian(
        self, structures: Sequence[Atoms], scope: Scope
    ) -> list[tuple[Rows, Float[np.ndarray, "row feature atom xyz"]]]:
        """Sums of each structure and their derivatives by positions, as exact as the subject's."""
        sums = self._sums(scope)
        return [sums.slopes(atoms, described_centers(atoms, scope)) for atoms in structures]

    def basis(self, scope: Scope) -> Basis | None:
        """Truncation of the basis of the subject."""
        return self.subject.basis(scope)

    def at(self, basis: Basis) -> "TaggedSubject":
        """Return the subject in another basis, with as many tags."""
        return TaggedSubject(self.subject.at(basis), self.tags)

    def _sums(self, scope: Scope) -> TaggedSums:
        """Sums for a scope; the last two are kept."""
        scope = Scope("environment", self.cutoff or scope.cutoff, scope.species)
        if scope not in self._recent:
            while len(self._recent) > 1:
                del self._recent[next(iter(self._recent))]
            reference = [
                Environment.of(atoms, 0, scope.cutoff)
                for atoms in reference_environments(scope.species, scope.cutoff)
            ]
            self._recent[scope] = TaggedSums(self.subject, self.tags, scope, reference)
        return self._recent[scope]


def tagged(subject: Subject, tags: int) -> TaggedSubject:
    """Return a subject that knows more: one or two of the neighbours are marked, in turn.

    A marked neighbour becomes a species of its own. For all choices of none, one and two of
    them the subject describes the environment, and random cosines of these rows are summed. The
    terms have weights that take a marked neighbour smoothly out of the cutoff; where neighbours
    that are not marked leave it, the sums are as smooth as the subject.

    Parameters
    ----------
    subject
        Any that describes environments and knows species, such as SOAP of DScribe.
    tags
        1 or 2.

    Raises
    ------
    InputError
        For another number of tags, or a subject of structures; and, once it describes something,
        for a subject that knows no species.

    Examples
    --------
    The rings of B8, which a power spectrum confuses, with one tag:

    >>> from atomplete.audit import audit, subject_of
    >>> soap = subject_of("power_spectrum")
    >>> rows = audit([soap, tagged(soap, 1)], ["b8"], n=1, progress=False).rows
    >>> [(row.subject, row.verdict) for row in rows]
    [('power_spectrum', 'blind'), ('power_spectrum?tags=1', 'separates')]
    """
    return TaggedSubject(subject, tags)
