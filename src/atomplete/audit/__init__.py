"""What a descriptor or model cannot tell apart, and how sure that is."""

from atomplete.audit.gallery import GALLERY, gallery
from atomplete.audit.run import Audit, audit
from atomplete.audit.subjects.named import subject_of
from atomplete.audit.subjects.subject import Resolution, Scope, Subject
from atomplete.audit.sweep import SweepRow, sweep
from atomplete.audit.table import print_audit, print_sweep
from atomplete.audit.unfinished import Unfinished, identity_of
from atomplete.audit.verdicts.diagnosis import Diagnosis, diagnose
from atomplete.audit.verdicts.row import Row
from atomplete.audit.write import write_audit

__all__ = [
    "GALLERY",
    "Audit",
    "Diagnosis",
    "Resolution",
    "Row",
    "Scope",
    "Subject",
    "SweepRow",
    "Unfinished",
    "audit",
    "diagnose",
    "gallery",
    "identity_of",
    "print_audit",
    "print_sweep",
    "subject_of",
    "sweep",
    "write_audit",
]
