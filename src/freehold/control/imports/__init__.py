"""Configurations of other gateways -> the form of freehold.yaml, and a list of what has no counterpart. Pure."""
