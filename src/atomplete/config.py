"""Options from YAML files, from the command line and from code, checked strictly."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from atomplete.errors import InputError

if TYPE_CHECKING:  # to start up, the command line needs neither
    import ase
    from pydantic_core import ErrorDetails

    from atomplete.descriptors import Descriptor, DescriptorSpec

Options = TypeVar("Options", bound=BaseModel)

#: Content of a file of options, in words.
OPTIONS_FILE = "a list of options (name: value)"


class _Loader(yaml.SafeLoader):
    """YAML with each key once, and plain values of YAML 1.2.

    ``24:00:00``, ``2026-01-31`` and ``No``, which is an element, are text, ``1e-3`` is a number.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Finish what a value holds before it, which refuses one that holds itself."""
        return super().construct_object(node, deep=True)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is given twice, of which the last would win."""
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


_PLAIN = {
    "tag:yaml.org,2002:bool": r"true|True|TRUE|false|False|FALSE",
    "tag:yaml.org,2002:int": r"[-+]?(?:0|[1-9]\d*|0x[0-9a-fA-F]+)",
    "tag:yaml.org,2002:float": r"[-+]?(?:(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|"
    r"\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
}
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag not in {*_PLAIN, _TIMESTAMP}]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), list("-+.0123456789tTfF"))


def from_yaml(text: str) -> Any:
    """Plain data that a text in YAML stands for.

    Raises
    ------
    InputError
        If it is no YAML, or gives a key twice.

    Examples
    --------
    >>> from_yaml("{walltime: 24:00:00, penalty: 1e-3}")
    {'walltime': '24:00:00', 'penalty': 0.001}
    """
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        # beside its own, what PyYAML raises for tags that do not fit and for bottomless nesting
        raise InputError(f"not YAML ({' '.join(str(error).split())})") from error


def resolve(options: type[Options], file: Path | None, given: dict[str, Any]) -> Options:
    """Merge a YAML file of options with those given otherwise, which win.

    Parameters
    ----------
    options
        The model of all options.
    file
        YAML file, or ``None``.
    given
        Options by name; those that are ``None`` were not given.

    Raises
    ------
    InputError
        For a file that is no YAML mapping, an unknown option, or a value that does not fit;
        names the file where it is to blame.

    Examples
    --------
    >>> class Example(BaseModel):
    ...     seed: int = 0
    >>> resolve(Example, None, {"seed": 3})
    Example(seed=3)
    >>> resolve(Example, None, {"seed": "three"})
    Traceback (most recent call last):
    atomplete.errors.InputError: option seed = 'three' should be a valid integer, ...
    """
    content = {} if file is None else read_mapping(file, OPTIONS_FILE)
    given = _given(given)
    content |= given
    with _one_sentence("" if file is None else str(file), content, given):
        return options.model_validate(content)


def read_mapping(file: Path, kind: str) -> dict[str, Any]:
    """Read a YAML file of names and values; an empty one has none.

    Raises
    ------
    InputError
        If it cannot be read, or is not of that kind.

    Examples
    --------
    >>> read_mapping(Path("absent.yaml"), "a spec")
    Traceback (most recent call last):
    atomplete.errors.InputError: absent.yaml: cannot be read (...No such file or directory...)
    """
    try:
        content = from_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error})") from error
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{file}: not {kind}")
    return content


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
    with _one_sentence(source, content):
        return options.model_validate(content)


def descriptor_spec(
    given: "str | Mapping[str, Any] | DescriptorSpec",
    *,
    structures: "Iterable[ase.Atoms]" = (),
    species: Iterable[int] | None = None,
    cutoff: float | None = None,
    source: str = "descriptor",
    **options: Any,
) -> "DescriptorSpec":
    """The spec that a user means, however it is given.

    Parameters
    ----------
    given
        A name (of ``descriptors.NAMED``), a spec, or a spec as plain data.
    structures
        If neither ``given`` nor ``species`` names any, their species are described.
    species
        Atomic numbers of the neighbours described; these win.
    cutoff
        Radius of an environment, Å; it wins.
    source
        What errors in plain data are said of.
    **options
        Other fields of the spec; those that are not None win.

    Raises
    ------
    InputError
        For an unknown name or option, or a value that does not fit.

    Examples
    --------
    >>> import ase
    >>> spec = descriptor_spec("power_spectrum", structures=[ase.Atoms("CO")], cutoff=4.0)
    >>> spec.nu, spec.expansion.species, spec.expansion.cutoff
    ((2,), (6, 8), 4.0)
    >>> descriptor_spec({"type": "three_center"}, components=(400, 250)).components
    (400, 250)
    """
    from atomplete.descriptors import NAMED, AnyDescriptorSpec, DescriptorSpec

    if isinstance(given, str):
        if given not in NAMED:
            raise InputError(f"descriptor {given!r} is none of {', '.join(NAMED)}")
        source, given = given, NAMED[given]
    content = _plain(given)
    fields, expansion = _fields(content), content.get("expansion", {})
    basis = content if "cutoff" in fields else expansion
    if isinstance(basis, Mapping):  # anything else is refused below, by name
        if species is None and "species" not in basis:
            species = sorted({int(z) for atoms in structures for z in atoms.numbers}) or None
        chosen = {"species": None if species is None else list(species), "cutoff": cutoff}
        if basis is content:  # not all have a choice of species
            options |= {name: value for name, value in chosen.items() if name in fields}
        else:
            options["expansion"] = {**expansion, **_given(chosen)}
    content |= _given(options)
    with _one_sentence(source, content):
        spec: DescriptorSpec = TypeAdapter(AnyDescriptorSpec).validate_python(content)
    return spec


def descriptor_of(
    given: "str | Path | Mapping[str, Any] | DescriptorSpec", **options: Any
) -> "Descriptor":
    """Descriptor that a user means: a fitted one by its file, others as ``descriptor_spec``.

    Parameters
    ----------
    given
        A file that ends in ``.pt``, a name, a spec, or a spec as plain data.
    **options
        As ``descriptor_spec`` takes them; of a fitted descriptor, none can be chosen any more.

    Raises
    ------
    InputError
        For a file that does not hold a descriptor, or an option of a fitted one.

    Examples
    --------
    >>> descriptor_of("power_spectrum", cutoff=4.0).cutoff
    4.0
    >>> descriptor_of("absent.pt")
    Traceback (most recent call last):
    atomplete.errors.InputError: absent.pt: no such file
    """
    from atomplete.checkpoint import load
    from atomplete.descriptors import Descriptor, build

    if isinstance(given, Path) or (isinstance(given, str) and given.endswith(".pt")):
        descriptor: Descriptor = load(given, Descriptor)
        for name in _given(options).keys() - {"structures", "source"}:
            raise InputError(f"{given}: fitted already, and its {name} cannot be chosen any more")
        return descriptor
    built: Descriptor = build(descriptor_spec(given, **options))
    return built


def _plain(given: Any) -> dict[str, Any]:
    """A spec as plain data, without species if it was not made with any."""
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, BaseModel):
        raise InputError(f"descriptor {given!r} is neither a name nor a spec")
    content: dict[str, Any] = given.model_dump()
    for plain, spec in ((content, given), (content.get("expansion"), _expansion_of(given))):
        if spec is not None and plain is not None and "species" not in spec.model_fields_set:
            plain.pop("species", None)
    return content


def _expansion_of(spec: BaseModel) -> BaseModel | None:
    expansion: BaseModel | None = getattr(spec, "expansion", None)
    return expansion


def _fields(content: Mapping[str, Any]) -> Collection[str]:
    """Options of the type that plain data names, if it is known."""
    from atomplete.descriptors import Descriptor
    from atomplete.registry import registered

    try:
        return registered(Descriptor, str(content.get("type")))[0].model_fields
    except InputError:
        return ()


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


@contextmanager
def _one_sentence(source: str, content: Any, elsewhere: Collection[str] = ()) -> Iterator[None]:
    """Say the first thing wrong with plain data, and its source unless it came from elsewhere."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] and first["loc"][0] in elsewhere:
            source = ""
        raise InputError(_sentence(source, _name(first, content), first)) from error


def _sentence(source: str, name: str, error: "ErrorDetails") -> str:
    """One sentence on one error of pydantic."""
    where = f"{source}: " if source else ""
    if error["type"] == "extra_forbidden":
        return f"{where}unknown option {name}"
    if error["type"] == "missing":
        return f"{where}option {name} is missing"
    given = error.get("input")
    if error["type"].startswith("union_tag"):
        option = ".".join(filter(None, (name, error["ctx"]["discriminator"].strip("'"))))
        if error["type"] == "union_tag_not_found":
            return f"{where}option {option} is missing"
        context = error["ctx"]
        return f"{where}option {option} = {context['tag']!r} is none of {context['expected_tags']}"
    value = "" if isinstance(given, dict | BaseModel) else f" = {given!r}"
    subject = f"{where}option {name}{value}" if name else f"{source}{value}"
    # of our own validators, pydantic says no more than that it was a ValueError
    reason = error["msg"].removeprefix("Value error, ")
    if reason.startswith("Input should"):
        return subject + reason.removeprefix("Input")
    return f"{subject}: {reason}" if subject else reason


def _name(error: "ErrorDetails", content: Any) -> str:
    """Place of an error in the text of the user: without the types that a union was tried with."""
    name = []
    for part in error["loc"]:
        if isinstance(part, int) or (isinstance(content, Mapping) and part in content):
            try:
                content = content[part]
            except (IndexError, KeyError, TypeError):  # what is missing is not there
                content = None
        elif error["type"] != "missing":
            continue
        name.append(str(part))
    return ".".join(name)
