"""Input of LAMMPS that runs a potential of ours."""

from pathlib import Path

from ase.data import chemical_symbols

from atomplete.kernel.file import header_of

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
        If the file is not one of tables, or not whole.

    Examples
    --------
    >>> print(input_script(Path("atompleteplugin.so")).splitlines()[3])
    plugin load atompleteplugin.so
    """
    species = None if tables is None else header_of(tables)["species"]
    elements = ["ELEMENT"] if species is None else [chemical_symbols[z] for z in species]
    return SCRIPT.format(
        plugin=plugin,
        tables="model.tables" if tables is None else tables.resolve(),
        elements=" ".join(elements),
        quoted=", ".join(f'"{element}"' for element in elements),
    )
