"""Formats of files: headers of extended XYZ, and all that ASE reads."""
