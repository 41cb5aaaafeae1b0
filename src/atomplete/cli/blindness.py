"""What the verbs share that look for what a representation cannot see."""

from typing import Annotated

import typer

Representation = Annotated[
    str,
    typer.Argument(
        help="three_center, power_spectrum, bispectrum, ..., a YAML file with a spec, or any "
        "subject of an audit: file.py:function, dscribe:SOAP?n_max=6, ..."
    ),
]
Level = Annotated[
    str | None,
    typer.Option(help="environment, of one centre, or structure (default: environment)."),
]
Group = Annotated[
    str | None, typer.Option(help="O3, or SO3: enantiomers are different (default: O3).")
]
Center = Annotated[
    int | None, typer.Option(help="Centre atom (default: that of the info, else 0).")
]
MaxRadial = Annotated[int | None, typer.Option(help="Radial functions of our own bases.")]
MaxAngular = Annotated[int | None, typer.Option(help="Largest l of our own bases.")]
Cutoff = Annotated[
    float | None,
    typer.Option(help="Radius of an environment in Å (default: 1.25 times the farthest atom)."),
]
