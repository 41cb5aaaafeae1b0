"""Audits: pairs that a descriptor or model cannot tell apart, and how sure that is."""

from atomplete.audit.gallery import GALLERY, gallery
from atomplete.audit.records import LocalResolution, PairVerdict, SmallestBasis
from atomplete.audit.run import Audit, audit, judge
from atomplete.audit.subjects.named import subject_of
from atomplete.audit.subjects.subject import Basis, Scope, Subject
from atomplete.audit.sweep import sweep
from atomplete.audit.table import print_audit, print_sweep
from atomplete.audit.tagging.tagged import tagged
from atomplete.audit.tagging.transformer import TaggedTransformer
from atomplete.audit.verdicts.diagnosis import Diagnosis, diagnose
from atomplete.audit.verdicts.separation import Separation, separation
from atomplete.audit.write import write_audit

__all__ = [
    "GALLERY",
    "Audit",
    "Basis",
    "Diagnosis",
    "LocalResolution",
    "PairVerdict",
    "Scope",
    "Separation",
    "SmallestBasis",
    "Subject",
    "TaggedTransformer",
    "audit",
    "diagnose",
    "gallery",
    "judge",
    "print_audit",
    "print_sweep",
    "separation",
    "subject_of",
    "sweep",
    "tagged",
    "write_audit",
]
