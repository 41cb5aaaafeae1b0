"""Local resolution: the directions of motion that a descriptor sees."""
