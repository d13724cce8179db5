"""Conformance over recorded traffic: what a client gets through the gateway equals what it gets from the provider."""
