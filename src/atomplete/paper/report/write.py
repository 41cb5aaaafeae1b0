"""The report of a folder: which kind of folder it is, and the one file that is written."""

from pathlib import Path

from atomplete.errors import InputError
from atomplete.paper.report.run_folder import RunFolder
from atomplete.paper.report.run_page import run_page
from atomplete.report.audit.audit_page import audit_page
from atomplete.runs.files import atomic_write


def write_report(folder: Path, *, progress: bool = False) -> Path:
    """Write ``report.html``, a page on what ``reproduce`` or an audit has left in a folder.

    The page is a single file that fetches nothing: tables, plots as SVG, and pairs that can be
    turned in 3D with what representations and models say about them. Results that the folder
    does not hold are left out of it.

    Parameters
    ----------
    folder
        Holds ``table.json`` (of ``atomplete reproduce``) or ``audit.json``.
    progress
        Whether to show how far it is.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If the folder holds neither, or a file in it is damaged; names the file.

    Examples
    --------
    >>> import tempfile
    >>> write_report(Path(tempfile.mkdtemp(suffix="-run")))
    Traceback (most recent call last):
    atomplete.errors.InputError: ...-run: neither table.json nor audit.json in it
    """
    if (folder / "table.json").is_file():
        content = run_page(RunFolder.read(folder), progress=progress)
    elif (folder / "audit.json").is_file():
        content = audit_page(folder)
    else:
        raise InputError(f"{folder}: neither table.json nor audit.json in it")
    path = folder / "report.html"
    with atomic_write(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
    return path
