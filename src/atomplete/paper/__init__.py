"""The table of models of arXiv:2302.14770 as data, and the run that fills it."""
