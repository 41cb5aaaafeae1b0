"""Reports: what verbs have left in a folder, as one page of HTML that needs no network."""

from atomplete.report.audit_page import AUDIT_PAGE
from atomplete.report.fit_page import FIT_PAGE, write_fit_page
from atomplete.report.render import write_report

__all__ = ["AUDIT_PAGE", "FIT_PAGE", "write_fit_page", "write_report"]
