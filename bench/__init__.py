"""The benchmark: what a call costs through Freehold, beside nginx and ferrogw, measured in one run (see README.md)."""
