"""Table for the terminal: subjects against families."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from atomplete.audit.records import PairVerdict, SmallestBasis
from atomplete.audit.run import Audit

# by the first word of a verdict
_STYLES = {
    "separates": "green",
    "blind": "red",
    "undecided": "yellow",
    "broken": "magenta",
    "equal": "dim",
}


def print_audit(audit: Audit, console: Console | None = None) -> None:
    """Print a verdict for each subject and family, with counts where members differ.

    Parameters
    ----------
    audit
        What was found.
    console
        Where to; by default standard output.

    Examples
    --------
    >>> print_audit(Audit([]), Console(width=60))
    no verdicts: no subject describes structures of the level of
    these pairs
    """
    console = console or Console()
    if not audit.rows:
        console.print("no verdicts: no subject describes structures of the level of these pairs")
        return
    families = list(dict.fromkeys((row.level, row.family) for row in audit.rows))
    table = Table(pad_edge=False)
    table.add_column("level")
    table.add_column("family")
    for subject in audit.diagnoses:
        table.add_column(Text(subject), overflow="fold")
    for level, family in families:
        cells = [
            cell([row for row in audit.rows if (row.subject, row.family) == (subject, family)])
            for subject in audit.diagnoses
        ]
        table.add_row(level, family, *cells)
    console.print(table)
    if any(row.congruent for row in audit.rows):
        console.print(
            "equal: congruent in the group of the subject, as controls are and enantiomers under "
            "O(3); nothing may separate them",
            style="dim",
            highlight=False,
        )
    if any("precision" in row.verdict for row in audit.rows):
        console.print(
            "blind within precision: the members differ by no more than others with the same "
            "digits of their positions; write more digits",
            style="dim",
            highlight=False,
        )
    for subject, diagnosis in audit.diagnoses.items():
        style = "magenta" if diagnosis.faults else ""
        line = Text(f"{subject}: {diagnosis.summary}", style=style)  # no :SOAP: is a picture
        console.print(line, soft_wrap=True)


def cell(rows: Sequence[PairVerdict]) -> str:
    """Return the verdict on a family, as the table shows it.

    Examples
    --------
    >>> cell([])
    '–'
    """
    if not rows:
        return "–"
    counts = Counter(row.words for row in rows).most_common()
    texts = [(words, words if len(counts) == 1 else f"{words} {n}") for words, n in counts]
    return ", ".join(f"[{_STYLES[words.split()[0]]}]{text}[/]" for words, text in texts)


def print_sweep(rows: Sequence[SmallestBasis], console: Console | None = None) -> None:
    """Print the smallest resolution at which each family is told apart.

    Examples
    --------
    >>> print_sweep([], Console(width=60))
    """
    console = console or Console()
    if not rows:
        return
    subjects = list(dict.fromkeys(row.subject for row in rows))
    table = Table("family", title="smallest resolution that separates", pad_edge=False)
    for subject in subjects:
        table.add_column(Text(subject))
    for family in dict.fromkeys(row.family for row in rows):
        found = {row.subject: row.text for row in rows if row.family == family}
        table.add_row(family, *(found.get(subject, "–") for subject in subjects))
    console.print(table)
