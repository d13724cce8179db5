"""Translation between any two chat dialects, over the cases and recorded exchanges: what crosses equal, named or refused."""
