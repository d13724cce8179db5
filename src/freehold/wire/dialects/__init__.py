"""The dialects, one folder each: request.py, reply.py, stream.py; wire/registry.py lists them."""
