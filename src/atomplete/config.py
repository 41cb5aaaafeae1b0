"""Options from YAML files and from the command line, checked strictly."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from atomplete.errors import InputError

Options = TypeVar("Options", bound=BaseModel)


def resolve(
    options: type[Options],
    file: Path | None,
    given: dict[str, Any],
    defaults: dict[str, Any] | None = None,
) -> Options:
    """Merge a YAML file of options with those given otherwise, which win.

    Parameters
    ----------
    options
        The model of all options.
    file
        YAML file, or ``None``.
    given
        Options by name; those that are ``None`` were not given.
    defaults
        For options given in neither way, where the model has none of its own.

    Raises
    ------
    InputError
        For a file that is no YAML mapping, an unknown option, or a value that does not fit.

    Examples
    --------
    >>> class Example(BaseModel):
    ...     seed: int = 0
    >>> resolve(Example, None, {"seed": 3})
    Example(seed=3)
    """
    content: Any = {}
    source = "options"
    if file is not None:
        source = str(file)
        try:
            content = yaml.safe_load(file.read_text()) or {}
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: cannot be read ({error})") from error
        except yaml.YAMLError as error:
            raise InputError(f"{file}: not YAML ({' '.join(str(error).split())})") from error
        if not isinstance(content, dict):
            raise InputError(f"{file}: not a list of options (name: value)")
    overriding = {name: value for name, value in given.items() if value is not None}
    content = {**(defaults or {}), **content, **overriding}
    return checked(options, content, source)


def checked(options: type[Options], content: Any, source: str) -> Options:
    """Validate plain data; the first thing wrong with it becomes one sentence.

    Examples
    --------
    >>> class Example(BaseModel, extra="forbid"):
    ...     seed: int = 0
    >>> checked(Example, {"sede": 3}, "run.yaml")
    Traceback (most recent call last):
    atomplete.errors.InputError: run.yaml: unknown option sede
    """
    try:
        return options.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise InputError(f"{source}: unknown option {name}") from error
        given = first.get("input")
        raise InputError(f"{source}: option {name} = {given!r}: {first['msg']}") from error
