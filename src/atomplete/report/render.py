"""Pages from templates: a single file each, which fetches nothing, and the page of a folder."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from atomplete.errors import InputError
from atomplete.report.charts import COLORS, number
from atomplete.runs.files import atomic_write
from atomplete.runs.folder import run_folder


@dataclass(frozen=True)
class PageKind:
    """A kind of page, and the file by which a folder is known to want one.

    Attributes
    ----------
    mark
        Name of the file.
    content
        HTML of the page from (folder, progress).
    """

    mark: str
    content: Callable[[Path, bool], str]


def write_report(folder: Path, kinds: Sequence[PageKind], *, progress: bool = False) -> Path:
    """Write ``report.html``, a page on what a verb has left in a folder.

    The page is a single file that fetches nothing: tables, plots as SVG, and pairs that can be
    turned in 3D. Results that the folder does not hold are left out of it.

    Parameters
    ----------
    folder
        Holds the mark of one of the kinds.
    kinds
        Pages to choose from; the first one that suits is written.
    progress
        Whether to show how far it is.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If no kind suits the folder, a file in it is damaged, or there is a ``report.html`` of
        somebody else; names the file.

    Examples
    --------
    >>> import tempfile
    >>> from atomplete.report.fit_page import FIT_PAGE
    >>> write_report(Path(tempfile.mkdtemp(suffix="-run")), [FIT_PAGE])
    Traceback (most recent call last):
    atomplete.errors.InputError: ...-run: no metrics.json in it
    """
    found = [kind for kind in kinds if (folder / kind.mark).is_file()]
    if not found:
        marks = [kind.mark for kind in kinds]
        raise InputError(f"{folder}: no {' or '.join(marks)} in it")
    path = folder / "report.html"
    # a page may be asked for while the run goes on
    with run_folder(folder, "report", path.name, alone=False):
        content = found[0].content(folder, progress)
        with atomic_write(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return path


def render(
    template: str,
    *,
    package: str = "atomplete.report",
    data: Mapping[str, Any] | None = None,
    **values: Any,
) -> str:
    """A page as HTML.

    Parameters
    ----------
    template
        Name of a file in the folder ``templates`` of the package; it extends ``page.html``.
    package
        Where the template lives.
    data
        Pairs for the viewer, if the page has one.
    values
        For the template: ``title``, and what it asks for.
    """
    loaders = [PackageLoader(name) for name in dict.fromkeys((package, "atomplete.report"))]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "json": _indented}
    # a "</script>" within a name would end the script
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    page = environment.get_template(template)
    return page.render(colors=COLORS, links=[], data=Markup(text) if data else "", **values)


def _indented(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
