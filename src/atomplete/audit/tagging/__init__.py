"""Tagging: neighbours made species of their own, so that anybody's descriptor tells more."""
