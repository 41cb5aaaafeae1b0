"""Methods that label: xTB, PBE, and any calculator of ASE."""
