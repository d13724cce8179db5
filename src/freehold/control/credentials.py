"""Credentials: the secrets that providers are called with. Taken once, sealed with the workspace's key, never shown again.

In place of a secret an operator may give a reference to one that lives elsewhere; a tenant may not, for it would read the
server's own files, environment or Vault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from sqlalchemy import select

from freehold.base.ids import new_id
from freehold.config.references import is_reference, variable
from freehold.control.model import EditObject, Id, NewObject, View
from freehold.control.noun import Noun, Row
from freehold.control.plane import Change
from freehold.control.refusal import Forbidden, Invalid
from freehold.store.credential import Secret, seal
from freehold.store.tenants import credentials, providers
from freehold.upstream.catalogue import PROVIDERS

_SHOWN_FROM = 16  # characters: of shorter secrets the last four would tell too much


def _visible(text: str) -> str:
    if not all("!" <= letter <= "~" for letter in text):
        raise ValueError("visible ASCII characters only; copy it again, without quotes around it")
    return text


_Secret = Annotated[str, StringConstraints(min_length=1, max_length=16_384), AfterValidator(_visible)]
_PROVIDER = Field(description="Name of the provider that it is for.", examples=["openai"])
_SECRET = Field(
    description="The provider's key. Never shown again. Operators of the installation may give a reference in its place: "
    "`file:/run/secrets/x`, `vault:path#field`, `${NAME}`.",
    examples=["sk-example-0123456789abcdef"],
    json_schema_extra={"writeOnly": True},
)
_DISABLED = Field(description="It is not used while it is.")


class Credential(View):
    provider: str = _PROVIDER
    last4: str = Field(description='The last characters of the secret; "" for a short one or a reference.')
    reference: str | None = Field(description="Where the secret is kept, if it is kept elsewhere.")
    disabled: bool = _DISABLED


class NewCredential(NewObject):
    provider: Annotated[Id, _PROVIDER]
    secret: Annotated[_Secret, _SECRET]
    disabled: Annotated[bool, _DISABLED] = False


class EditCredential(EditObject):
    secret: Annotated[_Secret, _SECRET] = ""
    disabled: Annotated[bool, _DISABLED] = False


class Credentials(Noun[Credential]):
    kind = "credential"
    plural = "credentials"
    table = credentials
    view = Credential
    new = NewCredential
    edit = EditCredential
    followed = True
    filters = ("name", "provider", "disabled")

    def prepared(self, change: Change, values: dict[str, Any], before: Row | None) -> dict[str, Any]:
        if before is None:
            self._known(change, values["provider"])
            values["id"] = new_id(self.kind)  # the secret is sealed for this row
        if "secret" in values:
            values |= _sealed(change, before["id"] if before else values["id"], values["secret"])
        return values

    def write(self, change: Change, action: str, before: Row, columns: Mapping[str, Any]) -> Credential:
        return super().write(change, "replace" if "secret" in columns else action, before, columns)

    def _known(self, change: Change, wanted: str) -> None:
        """Raises Invalid, unless it is one of the workspace, of the file or of the catalogue."""
        mine = (providers.c.workspace == change.workspace, providers.c.name == wanted)
        owned = change.plane.owned.config().providers if change.plane.owned.is_of(change.workspace) else {}
        if (
            wanted not in PROVIDERS
            and wanted not in owned
            and change.connection.scalar(select(providers.c.id).where(*mine)) is None
        ):
            raise Invalid(
                "provider", f"There is no provider {wanted!r} in this workspace: make it first, with POST /api/v1/providers."
            )


def _sealed(change: Change, credential_id: str, text: str) -> dict[str, Any]:
    """Raises Forbidden."""
    reference = is_reference(text) or bool(variable(text))
    if reference and not change.actor.operator:
        raise Forbidden("Only operators of the installation may refer to secrets on the server; give the secret itself.")
    sealed = seal(change.data_key(), credential_id, Secret(text, reference))
    last4 = text[-4:] if len(text) >= _SHOWN_FROM and not reference else ""
    return {"secret": sealed, "last4": last4, "reference": text if reference else None}
