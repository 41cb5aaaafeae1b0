"""Complete representations of atomic environments, and the models built on them."""

__version__ = "0.1.0"
