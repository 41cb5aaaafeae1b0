"""Label methods by name."""

from dataclasses import fields
from typing import Any

from atomplete.errors import InputError
from atomplete.labels.label import LabelMethod
from atomplete.labels.methods.ase_calculator import AseCalculator
from atomplete.labels.methods.pbe import PBE
from atomplete.labels.methods.xtb import XTB


def get_method(name: str, /, **options: Any) -> LabelMethod:
    """Make a label method from its name and options.

    Parameters
    ----------
    name
        ``"xtb"`` (:class:`~atomplete.labels.methods.xtb.XTB`), ``"pbe"``
        (:class:`~atomplete.labels.methods.pbe.PBE`), or a calculator of ASE
        (:class:`~atomplete.labels.methods.ase_calculator.AseCalculator`): ``"ase:emt"`` by
        ASE's name, ``"ase:package.module:Class"`` by import path, ``"ase:file.py:function"``
        from a file; where a colon follows, ``ase:`` may be left out.
    **options
        The fields of that class, or the keyword arguments of the calculator.

    Returns
    -------
    LabelMethod
        The method; its package is imported when it is first used.

    Raises
    ------
    InputError
        For a name, an option or a value that is not known.

    Examples
    --------
    >>> get_method("xtb").settings["electronic_kt_hartree"]
    0.01
    >>> get_method("pbe", recipe="paper").settings["grid_level"]
    5
    >>> get_method("ase:lj", epsilon=0.1).settings
    {'epsilon': 0.1}
    """
    if ":" in name:
        return AseCalculator.named(name.removeprefix("ase:"), options)
    methods: dict[str, type[XTB] | type[PBE]] = {"xtb": XTB, "pbe": PBE}
    if name not in methods:
        choices = ", ".join(methods)
        raise InputError(f"there is no label method {name!r}; choose from {choices}, ase:NAME")
    known = [field.name for field in fields(methods[name])]
    for option in options:
        if option not in known:
            raise InputError(
                f"label method {name} has no option {option!r}; choose from {', '.join(known)}"
            )
    return methods[name](**options)
