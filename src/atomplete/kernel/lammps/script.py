"""Input of LAMMPS that runs a potential of ours."""

import json
from pathlib import Path

from ase.data import chemical_symbols

from atomplete.errors import InputError

SCRIPT = """\
# structure: ase.io.write("start.data", atoms, format="lammps-data", units="metal", masses=True,
#                         specorder=[{quoted}])
# run: mpiexec -n 2 lmp -in FILE (OMP_NUM_THREADS: threads of each)
plugin load {plugin}
units metal
atom_style atomic
newton on
boundary p p p
read_data start.data
pair_style atomplete
pair_coeff * * {tables} {elements}
timestep 0.0005
velocity all create 300 1 mom yes rot yes
fix 1 all nvt temp 300 300 0.05
thermo 100
thermo_style custom step time temp pe etotal press
run 1000
"""


def input_script(plugin: Path, tables: Path | None = None) -> str:
    """Input of LAMMPS, ready to run a structure in the file ``start.data``.

    Parameters
    ----------
    plugin
        The plugin.
    tables
        File of tables that names the elements; None leaves names to fill in.

    Raises
    ------
    InputError
        If the file is not one of tables.

    Examples
    --------
    >>> print(input_script(Path("atompleteplugin.so")).splitlines()[3])
    plugin load atompleteplugin.so
    """
    elements = ["ELEMENT"] if tables is None else _elements(tables)
    return SCRIPT.format(
        plugin=plugin,
        tables="model.tables" if tables is None else tables.resolve(),
        elements=" ".join(elements),
        quoted=", ".join(f'"{element}"' for element in elements),
    )


def _elements(tables: Path) -> list[str]:
    try:
        with tables.open("rb") as file:
            first, header = file.readline(1000), file.readline(10**7)
    except OSError as error:
        raise InputError(f"{tables}: it cannot be read ({error.strerror})") from None
    try:
        if not first.startswith(b"atomplete potential, version "):
            raise ValueError
        return [chemical_symbols[number] for number in json.loads(header)["species"]]
    except (ValueError, KeyError, TypeError, IndexError):
        raise InputError(f"{tables}: not a file of tables that `atomplete export` wrote") from None
