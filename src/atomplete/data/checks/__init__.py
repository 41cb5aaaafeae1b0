"""Checks of labelled data before a fit."""
