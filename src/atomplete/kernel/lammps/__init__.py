"""``pair_style atomplete``: sources, and how they are built as a plugin of LAMMPS."""
