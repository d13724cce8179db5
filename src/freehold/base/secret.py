"""Client keys are compared by digest only; the secret itself is never kept."""

from __future__ import annotations

from hashlib import sha256


def key_digest(secret: bytes) -> bytes:
    """SHA-256 (32 bytes). Enough for keys of ours: 256 random bits need no salt and no slow hash.

    Looking a digest up in a dict leaks no more through time than the digest's own bits, which tell nothing of the key.
    """
    return sha256(secret).digest()
