"""What is sealed in a credential's row: the secret itself, or a reference to one (config/references.py).

Which of them it is stands inside the seal: who can write to the database alone can't turn a tenant's text into a path on this
machine.
"""

from __future__ import annotations

from msgspec import Struct

from freehold.store.sealing import Place, SealError, WorkspaceKey

_SECRET = b"="
_REFERENCE = b"@"


class Secret(Struct, frozen=True):
    """`text`: the secret, or the reference where `reference` is true. Printing one shows nothing of it."""

    text: str
    reference: bool = False

    def __repr__(self) -> str:
        return "Secret(...)"


def seal(key: WorkspaceKey, credential_id: str, secret: Secret) -> bytes:
    mark = _REFERENCE if secret.reference else _SECRET
    return key.seal(mark + secret.text.encode(), _place(credential_id))


def unseal(key: WorkspaceKey, credential_id: str, sealed: bytes) -> Secret:
    """Raises SealError."""
    value = key.open(sealed, _place(credential_id))
    if value[:1] not in (_SECRET, _REFERENCE):
        raise SealError(f"{_place(credential_id)} is of a form that this version does not know; enter it again")
    return Secret(value[1:].decode(), value[:1] == _REFERENCE)


def _place(credential_id: str) -> Place:
    return Place("credentials", "secret", credential_id)
