"""The contract of all potentials."""

from atomplete.registry import Registered


class Potential(Registered):
    """Model of the energy of structures."""
