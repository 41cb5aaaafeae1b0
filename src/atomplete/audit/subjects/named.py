"""Subjects by name: ``three_center``, ``dscribe:SOAP?n_max=6``, ``my_file.py:function``, …"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from atomplete.audit.subjects.of_calculator import calculator_subject, model_subject
from atomplete.audit.subjects.of_descriptor import RepresentationChoices, representation_subject
from atomplete.audit.subjects.of_dscribe import dscribe_subject
from atomplete.audit.subjects.of_featomic import featomic_subject
from atomplete.audit.subjects.of_function import function_subject
from atomplete.audit.subjects.of_mace import mace_subject
from atomplete.audit.subjects.of_metatomic import metatomic_subject
from atomplete.audit.subjects.subject import Subject
from atomplete.config import checked, read_mapping
from atomplete.descriptors import NAMED
from atomplete.errors import InputError

_ADAPTERS = {
    "dscribe": dscribe_subject,
    "featomic": featomic_subject,
    "mace": mace_subject,
    "metatomic": metatomic_subject,
    "ase": calculator_subject,
}

_ORDERS = re.compile(r"N([012])nu([0123])")


def subject_of(name: str, options: Mapping[str, Any] | None = None) -> Subject:
    """Return the subject that a name stands for.

    Parameters
    ----------
    name
        One of ours (``three_center``, ``power_spectrum``, ``bispectrum``, ``pair``, ``N1nu2``:
        N tagged and ν correlated neighbours, ``nu4``: densities up to ν = 4), a YAML file with a
        spec, a fitted ``model.pt``, ``file.py:function``, ``module:function``, ``dscribe:SOAP``,
        ``featomic:SoapPowerSpectrum``, ``mace:FILE``, ``mace:untrained``, ``metatomic:FILE``,
        ``ase:NAME``. Options may follow: ``three_center?max_angular=4,group=SO3``.
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
    subject = _subject(place, chosen)
    return Subject(
        name, subject.levels, subject.group, subject.prepare, subject.package, subject.at
    )


def read_spec(name: str) -> dict[str, Any] | None:
    """Read a spec as plain data, if the name is that of a YAML file.

    Raises
    ------
    InputError
        If it cannot be read, or is no YAML mapping.

    Examples
    --------
    >>> read_spec("absent.yaml")
    Traceback (most recent call last):
    atomplete.errors.InputError: absent.yaml: cannot be read ([Errno 2] No such file or directory...
    """
    if not name.endswith((".yaml", ".yml")):
        return None
    return read_mapping(Path(name), "a spec (type: ...)")


def _subject(place: str, options: dict[str, Any]) -> Subject:
    content = _content(place)
    if content is not None:
        choices = checked(RepresentationChoices, options, place)
        return representation_subject(place, content, choices)
    if place.endswith((".pt", ".pth")) and ":" not in place:
        if options:
            raise InputError(f"{place}: a fitted model has no options")
        return model_subject(place)
    adapter = _ADAPTERS.get(place.partition(":")[0])
    if adapter is not None and ":" in place:
        return adapter(place, options)
    if ":" in place:
        return function_subject(place, options)
    raise InputError(
        f"subject {place}: none of {', '.join(NAMED)}, N0nu1 to N2nu3, nu4, and no file or "
        "PACKAGE:NAME"
    )


def _content(place: str) -> dict[str, Any] | None:
    """The spec that a name or a YAML file stands for, without what the audit sets."""
    if place in NAMED:
        return NAMED[place].model_dump(exclude={"expansion"})
    if place == "nu4":
        return {"type": "nice", "max_nu": 4, "components": None, "candidates": None}
    orders = _ORDERS.fullmatch(place)
    if orders:
        n_tagged, nu = map(int, orders.groups())
        if n_tagged == 0 and nu > 0:
            return {"type": "density_correlations", "nu": [nu]}
        return {"type": "tagged_correlations", "n_tagged": n_tagged, "nu": nu}
    return read_spec(place)


def _parsed(name: str, text: str) -> dict[str, Any]:
    """Options in a name: ``n_max=6,l_max=4``; values are YAML."""
    try:
        options = yaml.safe_load("{" + re.sub(r"=\s*", ": ", text) + "}")
    except yaml.YAMLError as error:
        raise InputError(f"{name}: options are written key=value,key=value") from error
    if not isinstance(options, dict) or None in options.values():
        raise InputError(f"{name}: options are written key=value,key=value")
    return options
