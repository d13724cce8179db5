"""Clients and upstreams of different dialects through a whole gateway, by real HTTP."""
