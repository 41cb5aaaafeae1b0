"""The two ways in which a run can be refused, each with one clear sentence."""

import re


class InputError(ValueError):
    """Input that cannot be used; the message names the file, the structure and the value.

    The command line prints the message and exits with code 2.

    Examples
    --------
    >>> raise InputError("b8.xyz, structure 3: atoms 0 and 4 coincide (distance 0.0 Å)")
    Traceback (most recent call last):
    atomplete.errors.InputError: b8.xyz, structure 3: atoms 0 and 4 coincide (distance 0.0 Å)
    """

    def __init__(self, message: str = "") -> None:
        # values that it names, such as arrays, may be printed in several lines
        super().__init__(re.sub(r"\s*[\r\n]\s*", " ", message))


class MissingExtraError(ImportError):
    """An optional package is not installed; the message names the extra that brings it.

    Examples
    --------
    >>> raise MissingExtraError("tblite", "dft")
    Traceback (most recent call last):
    atomplete.errors.MissingExtraError: tblite is not installed: pip install 'atomplete[dft]'
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)

    def __str__(self) -> str:
        package, extra = self.args
        return f"{package} is not installed: pip install 'atomplete[{extra}]'"
