"""Pages from templates: a single file each, which fetches nothing, and the page of a folder."""

import json
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from atomplete.errors import InputError
from atomplete.report.charts import COLORS, number
from atomplete.report.read import ResultFolder
from atomplete.runs.files import atomic_write
from atomplete.runs.folder import run_folder

_SCRIPTS = ("viewer.js", "page.js")

# A page fetches nothing, sends nothing, and has styles of its own only.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)


@dataclass(frozen=True)
class PageKind:
    """A kind of page, and the file by which a folder is known to want one.

    Attributes
    ----------
    mark
        Name of the file.
    content
        HTML of the page from (folder, progress); raises `InputError` where there is nothing to
        show.
    """

    mark: str
    content: Callable[[ResultFolder, bool], str]


def write_report(folder: Path, kinds: Sequence[PageKind], *, progress: bool = False) -> Path:
    """Write ``report.html``, a page on what a verb has left in a folder.

    The page is a single file that fetches nothing: tables, plots as SVG, and pairs that can be
    turned in 3D. Results that the folder does not hold are left out of it; those that are damaged
    are named, in the page and on stderr.

    Parameters
    ----------
    folder
        Holds the mark of one of the kinds.
    kinds
        Pages to choose from; the first one that suits, and has something to show, is written.
    progress
        Whether to show how far it is.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If no kind suits the folder, its files are too damaged to show anything, or there is a
        ``report.html`` of somebody else; names the file.

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
        content, problems = _first_page(folder, found, progress)
        with atomic_write(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    for problem in problems:
        print(f"not in the report: {problem}", file=sys.stderr)
    return path


def _first_page(
    folder: Path, kinds: Sequence[PageKind], progress: bool
) -> tuple[str, Sequence[str]]:
    """The first page that has something to show, and what could not be read for it."""
    errors = []
    for kind in kinds:
        results = ResultFolder(folder)
        try:
            return kind.content(results, progress), results.problems
        except InputError as error:
            errors.append(error)
    raise errors[0]


def render(
    template: str,
    *,
    package: str = "atomplete.report",
    data: Mapping[str, Any] | None = None,
    problems: Sequence[str] = (),
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
    problems
        Sentences on what could not be read.
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
    # values reach a page by autoescaping, and its script as data: nothing else is marked as safe
    script = "\n".join(environment.get_template(name).render() for name in _SCRIPTS)
    return environment.get_template(template).render(
        colors=COLORS,
        links=[],
        policy=_policy(script) if data else _POLICY,
        script=Markup(script),
        data=_in_script(data) if data else None,
        problems=problems,
        **values,
    )


def _policy(script: str) -> str:
    """Content security policy of a page that runs this script, and no other."""
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return f"{_POLICY}; script-src 'sha256-{digest}'"


def _in_script(data: Mapping[str, Any]) -> Markup:
    """JSON that holds no character of HTML, so that no name in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&"}))


def _indented(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
