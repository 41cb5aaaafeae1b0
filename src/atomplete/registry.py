"""Registry of everything that is made from a spec, fitted and saved, by the type in its spec."""

import importlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from ase.data import chemical_symbols
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError, PydanticKnownError
from torch import Tensor, nn

from atomplete.errors import InputError

T = TypeVar("T", bound="Registered")

#: Rooms whose classes are looked up by type; a type of another package is known once imported.
_ROOMS = ("descriptors", "nn", "latents", "potentials")


def _elements(species: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(species)) < len(species) or not all(0 < z < len(chemical_symbols) for z in species):
        raise ValueError("must be different atomic numbers, from 1 on")
    return species


#: Atomic numbers in a spec, each once.
Species = Annotated[tuple[int, ...], AfterValidator(_elements)]


class Spec(BaseModel):
    """Plain data that describes a module: with a state dict, it is the whole module.

    Subclasses give ``type`` a value of its own, ``type: Literal["toy"] = "toy"``.

    Examples
    --------
    >>> Spec(type="toy", colour="red")
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Spec...
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    type: str


class Registered(nn.Module):
    """Module that a spec describes and that registers itself by the type of that spec.

    Direct subclasses are kinds (descriptors, potentials); below them a class names its spec when
    it is defined, which is all that makes it known to files, options and checkpoints.

    Examples
    --------
    >>> from typing import Literal
    >>> class Animal(Registered):
    ...     "A kind."
    >>> class CatSpec(Spec):
    ...     type: Literal["cat"] = "cat"
    >>> class Cat(Animal, spec=CatSpec):
    ...     def __init__(self, spec: CatSpec) -> None:
    ...         super().__init__()
    ...         self.spec = spec
    >>> build(CatSpec())
    Cat()
    >>> registered(Animal, "dog")
    Traceback (most recent call last):
    atomplete.errors.InputError: animal 'dog' is none of 'cat'
    """

    #: Name of the kind, the same for all classes of it.
    kind: ClassVar[str]
    spec: Any

    def __init_subclass__(cls, spec: type[Spec] | None = None, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if Registered in cls.__bases__:
            cls.kind = cls.__name__.lower()
        if spec is None:
            return
        key = cls.kind, spec.model_fields["type"].default
        known = _CLASSES.get(key, (spec, cls))[1]
        # a class that is defined anew, as in a notebook, takes the place of its older self
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{cls.__name__}: {known.__name__} is the {key[0]} of type {key[1]!r}")
        _CLASSES[key] = spec, cls

    @classmethod
    def from_state(cls: type[T], spec: Any, state: dict[str, Tensor]) -> T:
        """Module of a spec and a state dict; overridden where a fit settles the sizes."""
        module = cls(spec)
        module.load_state_dict(state)
        return module


#: Spec and class of each kind and type; only definitions of classes write here.
_CLASSES: dict[tuple[str, str], tuple[type[Spec], type[Registered]]] = {}


def registered(base: type[T], type: str) -> tuple[type[Any], type[T]]:
    """Spec and class of a type, among the subclasses of ``base``.

    Raises
    ------
    InputError
        For an unknown type; lists those that are known.

    Examples
    --------
    >>> from atomplete.descriptors import Descriptor
    >>> [found.__name__ for found in registered(Descriptor, "three_center")]
    ['ThreeCenterSpec', 'ThreeCenter']
    """
    known = _of_kind(base, type)
    if type not in known:
        names = ", ".join(map(repr, sorted(known)))
        raise InputError(f"{base.__name__.lower()} {type!r} is none of {names}")
    return known[type]


def spec_of(cls: type[Registered]) -> type[Spec]:
    """Spec of a class that has registered itself.

    Examples
    --------
    >>> from atomplete.descriptors import ThreeCenter
    >>> spec_of(ThreeCenter).__name__
    'ThreeCenterSpec'
    """
    return next(spec for spec, known in _CLASSES.values() if known is cls)


def kind_named(kind: str) -> type[Registered]:
    """Base class of a kind, by its name.

    Raises
    ------
    InputError
        For an unknown kind.

    Examples
    --------
    >>> kind_named("descriptor").__name__
    'Descriptor'
    """
    _import_rooms()
    for base in Registered.__subclasses__():
        if base.kind == kind:
            return base
    raise InputError(f"a {kind} is nothing that this version knows")


def build(spec: Spec, **given: Any) -> Any:
    """Module that a spec describes; what else its class takes may be given by name.

    Examples
    --------
    >>> from atomplete.descriptors import DensityCorrelationsSpec
    >>> build(DensityCorrelationsSpec(nu=(2,)))
    DensityCorrelations(84 features, cutoff 2.0 Å)
    """
    return _class_of(spec)(spec, **given)


def restore(spec: Spec, state: dict[str, Tensor]) -> Any:
    """Module of a spec and a state dict, of the sizes that a fit had found."""
    return _class_of(spec).from_state(spec, state)


def spec_field(base: type[Registered]) -> BeforeValidator:
    """Validator of a field that takes the spec of any class of a kind, or its plain data.

    Examples
    --------
    >>> from typing import Annotated
    >>> from pydantic import SerializeAsAny
    >>> from atomplete.descriptors import Descriptor, DescriptorSpec
    >>> class Options(BaseModel):
    ...     descriptor: Annotated[SerializeAsAny[DescriptorSpec], spec_field(Descriptor)]
    >>> Options.model_validate({"descriptor": {"type": "density_correlations"}}).descriptor.nu
    (1, 2, 3)
    """

    def validate(given: Any) -> Spec:
        if isinstance(given, Spec):
            registered(base, given.type)
            return given
        if not isinstance(given, Mapping):
            raise PydanticCustomError("spec", f"Input should be the spec of a {base.kind}")
        if "type" not in given:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": "'type'"})
        tag = str(given["type"])  # which in a file may be anything
        known = _of_kind(base, tag)
        if tag not in known:
            tags = ", ".join(map(repr, sorted(known)))
            context = {"discriminator": "'type'", "tag": tag, "expected_tags": tags}
            raise PydanticKnownError("union_tag_invalid", context)
        return known[tag][0].model_validate(dict(given))

    return BeforeValidator(validate)


def _class_of(spec: Spec) -> type[Registered]:
    for described, cls in _CLASSES.values():
        if described is type(spec):
            return cls
    raise TypeError(f"{type(spec).__name__} is the spec of no class")


def _of_kind(base: type[T], wanted: str) -> dict[str, tuple[type[Spec], type[T]]]:
    """Specs and classes by type, of all rooms if the wanted one is not found without."""

    def found() -> dict[str, tuple[type[Spec], type[T]]]:
        classes = _CLASSES.items()
        return {name: (spec, cls) for (_, name), (spec, cls) in classes if issubclass(cls, base)}

    if wanted not in found():
        _import_rooms()
    return found()


def _import_rooms() -> None:
    for room in _ROOMS:
        importlib.import_module(f"atomplete.{room}")
