"""Freehold: the AI gateway you own."""

__version__ = "0.1.0"
