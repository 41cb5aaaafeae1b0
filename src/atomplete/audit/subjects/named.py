"""Subjects by name: ``three_center``, ``dscribe:SOAP?n_max=6``, ``my_file.py:function``, …"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from atomplete.audit.subjects.of_calculator import CalculatorSubject, PotentialSubject
from atomplete.audit.subjects.of_descriptor import (
    DescriptorSubject,
    FittedChoices,
    SpecSubject,
)
from atomplete.audit.subjects.of_dscribe import DscribeSubject
from atomplete.audit.subjects.of_featomic import FeatomicSubject
from atomplete.audit.subjects.of_function import FunctionSubject, loaded
from atomplete.audit.subjects.of_mace import mace_subject
from atomplete.audit.subjects.of_metatomic import MetatomicSubject
from atomplete.audit.subjects.subject import Subject
from atomplete.audit.tagging.tagged import tagged
from atomplete.checkpoint import load
from atomplete.config import checked, from_yaml, read_mapping
from atomplete.descriptors import NAMED, Descriptor
from atomplete.errors import InputError
from atomplete.registry import Registered, build, registered, spec_of

_ADAPTERS: dict[str, Callable[[str, dict[str, Any]], Subject]] = {
    "dscribe": DscribeSubject,
    "featomic": FeatomicSubject,
    "mace": mace_subject,
    "metatomic": MetatomicSubject,
    "ase": CalculatorSubject,
}

_ORDERS = re.compile(r"N([012])nu([0123])")


def subject_of(name: str, options: Mapping[str, Any] | None = None) -> Subject:
    """Return the subject that a name stands for.

    Parameters
    ----------
    name
        One of ours (``three_center``, ``power_spectrum``, ``bispectrum``, ``pair``, ``N1nu2``:
        N tagged and ν correlated neighbours, ``nu4``: densities up to ν = 4), the type of any
        registered descriptor, a YAML file with a spec, a fitted ``model.pt`` or
        ``descriptor.pt``, ``file.py:function``, ``module:function`` or the class of a descriptor
        or potential, ``dscribe:SOAP``, ``featomic:SoapPowerSpectrum``, ``mace:FILE``,
        ``mace:untrained``, ``metatomic:FILE``, ``ase:NAME``. Options may follow:
        ``three_center?max_angular=4,group=SO3``. ``tags=1`` and ``tags=2`` are understood by all
        that know species: see `tagged`.
    options
        More options, by name; those in the name win.

    Raises
    ------
    InputError
        If the name is not understood, or the subject refuses its options.
    MissingExtraError
        If the subject belongs to a package that is not installed.

    Examples
    --------
    >>> subject_of("N1nu2?group=SO3")
    Subject('N1nu2?group=SO3', levels=('environment', 'structure'), group='SO3')
    >>> subject_of("soap")
    Traceback (most recent call last):
    atomplete.errors.InputError: subject soap: none of radial_spectrum, ..., and no file or ...
    """
    place, asked, text = name.partition("?")
    chosen = {**(options or {}), **(_parsed(name, text) if asked else {})}
    tags = chosen.get("tags")
    subject = _subject(place, {key: value for key, value in chosen.items() if key != "tags"})
    subject = subject if tags is None else tagged(subject, tags)
    subject.name, subject.options = name, chosen
    return subject


def _subject(place: str, options: dict[str, Any]) -> Subject:
    content = _content(place)
    if content is not None:
        return SpecSubject.of(place, content, options)
    if place.endswith((".pt", ".pth")) and ":" not in place:
        module: Registered = load(place)
        return _OF_KIND[module.kind](place, module, options)
    adapter = _ADAPTERS.get(place.partition(":")[0])
    if adapter is not None and ":" in place:
        return adapter(place, options)
    if ":" in place:
        return _of_code(place, options)
    try:
        registered(Descriptor, place)
    except InputError as error:
        raise InputError(
            f"subject {place}: none of {', '.join(NAMED)}, N0nu1 to N2nu3, nu4, no registered "
            "descriptor, and no file or PACKAGE:NAME"
        ) from error
    return SpecSubject.of(place, {"type": place}, options)


def _of_code(place: str, options: dict[str, Any]) -> Subject:
    """A function, or a class of a descriptor or potential with the defaults of its spec."""
    found = loaded(place)
    kind = getattr(found, "kind", None)
    if kind == "descriptor":
        return SpecSubject.of(place, {"type": spec_of(found).model_fields["type"].default}, options)
    if kind == "potential":
        return PotentialSubject(place, build(checked(spec_of(found), options, place)), {})
    return FunctionSubject(place, found, options)


def _fitted_descriptor(place: str, descriptor: Descriptor, options: dict[str, Any]) -> Subject:
    choices = checked(FittedChoices, options, place)
    return DescriptorSubject(descriptor, place, choices.group, getattr(torch, choices.dtype))


_OF_KIND: dict[str, Callable[[str, Any, dict[str, Any]], Subject]] = {
    "descriptor": _fitted_descriptor,
    "potential": PotentialSubject,
}


def _content(place: str) -> dict[str, Any] | None:
    """Spec that a name or a YAML file stands for, without the fields that the audit sets."""
    if place in NAMED:
        return NAMED[place].model_dump(exclude={"expansion", "species", "cutoff"})
    if place == "nu4":
        return {"type": "nice", "max_nu": 4, "components": None, "candidates": None}
    orders = _ORDERS.fullmatch(place)
    if orders:
        n_tagged, nu = map(int, orders.groups())
        if n_tagged == 0 and nu > 0:
            return {"type": "density_correlations", "nu": [nu]}
        return {"type": "tagged_correlations", "n_tagged": n_tagged, "nu": nu}
    if place.endswith((".yaml", ".yml")):
        return read_mapping(Path(place), "a spec (type: ...)")
    return None


def _parsed(name: str, text: str) -> dict[str, Any]:
    """Options in a name: ``n_max=6,l_max=4``; values are YAML."""
    try:
        options = from_yaml("{" + re.sub(r"=\s*", ": ", text) + "}")
    except InputError as error:
        raise InputError(f"{name}: options are written key=value,key=value: {error}") from error
    if not isinstance(options, dict) or None in options.values():
        raise InputError(f"{name}: options are written key=value,key=value")
    return options
