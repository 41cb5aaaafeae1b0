"""Options of verbs, stated once: fields of a pydantic model become options of the command line."""

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin

import typer
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from typer.models import ParameterInfo

from atomplete.cli.app import app
from atomplete.config import OPTIONS_FILE, read_mapping, resolve
from atomplete.errors import InputError
from atomplete.runs.files import protected
from atomplete.runs.outputs import FileOutput, FolderOutput, files_named

Options = TypeVar("Options", bound=BaseModel)
Verb = Callable[..., None]

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file of options (name: value); the command line wins."),
]


@dataclass(frozen=True)
class Given:
    """Options as given on the command line and in a file, before they are checked.

    Attributes
    ----------
    values : dict
        Options by name that the command line gave.
    file : Path or None
        The YAML file of ``--config``.
    """

    values: dict[str, Any]
    file: Path | None

    def resolved(self, options: type[Options]) -> Options:
        """Options checked by their model; the command line wins over the file."""
        return resolve(options, self.file, self.values)


def verb(
    options: type[BaseModel] | None = None, writes: FileOutput | FolderOutput | None = None
) -> Callable[[Verb], Verb]:
    """Make a verb of a function whose parameter ``options`` stands for all fields of a model.

    A field that has a description is an option of the command line with this help, to which its
    default is added; other fields can be given in the YAML file of ``--config`` only. A list is
    given as text with commas, and whatever a validator reads first, as text. An ``Option`` or
    ``Argument`` of typer in the annotation of a field is taken as it is.

    The verb writes to its parameter ``output``, but never over a file that another parameter or
    an option names, and never over one that it did not write.

    Parameters
    ----------
    options
        The model of all options; None for a verb without.
    writes
        What ``output`` stands for; None for a verb without.

    Returns
    -------
    callable
        Registers a function as verb of its own name. Its parameter ``options`` is the model with
        the values given; a parameter ``given`` in its place is :class:`Given`.

    Examples
    --------
    >>> from pydantic import Field
    >>> class PaintOptions(BaseModel):
    ...     colour: str = Field("red", description="Colour of the wall")
    >>> def paint(wall: Path, options: PaintOptions) -> None:
    ...     print(f"{wall} in {options.colour}")
    >>> with_options(paint, PaintOptions)(wall=Path("wall"), colour="blue", config=None)
    wall in blue
    """
    return lambda function: app.command()(with_options(function, options, writes))


def with_options(
    function: Verb,
    options: type[BaseModel] | None,
    writes: FileOutput | FolderOutput | None = None,
) -> Verb:
    """Replace the parameter ``options`` or ``given`` by one for each option of the command line."""
    fields = {
        name: field
        for name, field in (options.model_fields if options else {}).items()
        if field.description or _of_typer(field)
    }
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(config: Path | None = None, **arguments: Any) -> None:
        found = {name: _split(field, arguments.pop(name)) for name, field in fields.items()}
        given = Given({name: v for name, v in found.items() if v not in (None, [])}, config)
        if "given" in signature.parameters:
            arguments["given"] = given
        elif options is not None:
            arguments["options"] = given.resolved(options)
        with _guarded(writes, arguments, given):
            function(**arguments)

    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name in ("options", "given"):
            parameters += [_parameter(name, field) for name, field in fields.items()]
            parameters.append(_keyword("config", ConfigFile))
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


@contextmanager
def _guarded(
    writes: FileOutput | FolderOutput | None, arguments: dict[str, Any], given: Given
) -> Iterator[None]:
    """Let a verb write over none of the files that it is given, and over nothing foreign."""
    read = [value for name, value in arguments.items() if name != "output"]
    if given.file is not None and given.file.is_file():  # a pipe can be read once only
        read += [given.file, read_mapping(given.file, OPTIONS_FILE)]
    output = arguments.get("output")
    with protected(files_named([*read, given.values])), ExitStack() as stack:
        if writes is not None and output is not None:
            stack.enter_context(writes.guarding(output))
        yield


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """The option of a field, None unless given."""
    own = _of_typer(field)
    if own:
        return _keyword(name, Annotated[_without_none(field.annotation) | None, own[0]])
    option = f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
    if field.annotation is bool and field.default:
        option += f"/--no-{name.replace('_', '-')}"
    kind = _kind(field)
    return _keyword(name, Annotated[kind | None, typer.Option(option, help=_help(field))])


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=None, annotation=annotation)


def _of_typer(field: FieldInfo) -> list[ParameterInfo]:
    return [entry for entry in field.metadata if isinstance(entry, ParameterInfo)]


def _kind(field: FieldInfo) -> Any:
    """The type that the command line checks; what it has no type for is text."""
    kind = _without_none(field.annotation)
    if any(isinstance(entry, BeforeValidator) for entry in field.metadata):
        return str
    fixed = get_origin(kind) is tuple and ... not in get_args(kind)
    return kind if fixed or kind in (bool, int, float, Path) else str


def _without_none(annotation: Any) -> Any:
    rest = [kind for kind in get_args(annotation) if kind is not NoneType]
    return rest[0] if NoneType in get_args(annotation) else annotation


def _help(field: FieldInfo) -> str:
    """The description, with the default where the description does not say it."""
    text, default = field.description or "", field.default
    if "default:" in text or default is None or isinstance(default, bool) or field.is_required():
        return f"{text}."
    if isinstance(default, tuple):
        default = (" " if _kind(field) is not str else ",").join(map(str, default))
    if isinstance(default, float):
        default = f"{default:g}"
    return f"{text} (default: {default})."


def _split(field: FieldInfo, value: Any) -> Any:
    """Values of a list, which come as one text."""
    if isinstance(value, str) and get_origin(_without_none(field.annotation)) in (list, tuple):
        return [part.strip() for part in value.split(",")]
    return value


_BYTES = {"": 1e9, "B": 1} | {
    f"{prefix}{binary}B": (1024 if binary else 1000) ** (power + 1)
    for power, prefix in enumerate("KMGT")
    for binary in ("", "i")
}


def bytes_of(size: str | float) -> int:
    """Bytes of a size like ``4GB``, ``512 MiB`` or ``1.5``; a plain number is in GB.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> bytes_of("512MB"), bytes_of("4 GiB"), bytes_of(1.5)
    (512000000, 4294967296, 1500000000)
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)\s*", str(size))
    units = {unit.lower(): factor for unit, factor in _BYTES.items()}
    try:
        found = int(float(match[1]) * units[match[2].lower()]) if match else 0
    except (ValueError, KeyError, OverflowError):
        found = 0
    if found <= 0:
        raise InputError(f"{size!r} is not a size like 4GB, 512 MiB or 1.5 (in GB)")
    return found
