"""Verbs that find what descriptors cannot see, and structures from what they see."""
