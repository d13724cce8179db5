"""Read key-value secrets from HashiCorp Vault or OpenBao, versions 1 and 2 of the engine alike. Blocking; one for each reading.

Set up by the variables that Vault's own tools read (each also with BAO_ in place of VAULT_): VAULT_ADDR, VAULT_NAMESPACE,
VAULT_CACERT, VAULT_SKIP_VERIFY; and for the token, the first of VAULT_TOKEN, VAULT_TOKEN_FILE, VAULT_ROLE_ID with VAULT_SECRET_ID
or VAULT_SECRET_ID_FILE (AppRole), VAULT_KUBERNETES_ROLE (this pod's service account), ~/.vault-token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from freehold.config.problem import nearest, shown
from freehold.config.references import SecretError

TIMEOUT_S = 5.0
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

_TOKENS = "set VAULT_TOKEN, VAULT_TOKEN_FILE, VAULT_ROLE_ID with VAULT_SECRET_ID, or VAULT_KUBERNETES_ROLE"


class Vault:
    def __init__(self, env: Mapping[str, str], service_account: Path = SERVICE_ACCOUNT) -> None:
        self._env = env
        self._service_account = service_account
        self._client: Any = None
        self._gone: SecretError | None = None  # it does not answer: the other references of this reading need not wait for it
        self._read: dict[str, dict[str, Any]] = {}

    def read(self, path: str, field: str) -> str:
        """`path` as `vault kv get` takes it: the mount, then the secret's path. Raises SecretError."""
        if self._gone is not None:
            raise self._gone
        if path not in self._read:
            self._read[path] = self._fetched(path)
        found = self._read[path]
        if field not in found:
            raise SecretError(
                f'vault:{path} has no field "{shown(field)}"', nearest(field, found) or "look at it with vault kv get"
            )
        value = found[field]
        if not isinstance(value, str) or not value:
            raise SecretError(f"vault:{path}#{field} is {'empty' if value == '' else 'not text'}", "store the secret as a string")
        return value

    def _fetched(self, path: str) -> dict[str, Any]:
        try:
            return self._look(path)
        except _Gone as gone:
            self._gone = SecretError(f"Vault at {self._where()} {gone}", "check VAULT_ADDR, and that it runs and is unsealed")
        raise self._gone

    def _look(self, path: str) -> dict[str, Any]:
        client = self._signed_in()
        hint = "leave data/ out of the path" if "/data/" in path else "check the path, and the policy of the token"
        with _explained(f"vault:{path}", hint):
            mount, version = self._mount(client, path)
            rest = path[len(mount) + 1 :]
            if version is not None:
                return self._kv(client, version, mount, rest)
            # The token may not ask about the mount; then what answers tells.
            from hvac.exceptions import Forbidden, InvalidPath

            try:
                return self._kv(client, 2, mount, rest)
            except (Forbidden, InvalidPath):
                return self._kv(client, 1, mount, rest)

    def _kv(self, client: Any, version: int, mount: str, rest: str) -> dict[str, Any]:
        if version == 2:
            reply = client.secrets.kv.v2.read_secret_version(path=rest, mount_point=mount, raise_on_deleted_version=True)
            return dict(reply["data"]["data"] or {})
        return dict(client.secrets.kv.v1.read_secret(path=rest, mount_point=mount)["data"] or {})

    def _mount(self, client: Any, path: str) -> tuple[str, int | None]:
        """Where the engine is mounted, which may be several steps deep, and its version, None if the token may not know."""
        from hvac.exceptions import Forbidden, InvalidPath

        try:
            found = client.adapter.get(f"/v1/sys/internal/ui/mounts/{path}")["data"]
        except (Forbidden, InvalidPath):
            return path.partition("/")[0], None
        if found.get("type") not in ("kv", "generic"):
            raise SecretError(f"vault:{path} is in no key-value engine", "give the path of a secret in a kv engine")
        return found["path"].strip("/"), 2 if (found.get("options") or {}).get("version") == "2" else 1

    def _signed_in(self) -> Any:
        if self._client is None:
            address = self._get("ADDR")
            if not address:
                raise SecretError("there is no address of a Vault", "set VAULT_ADDR or BAO_ADDR")
            # Heavy, and only who has such a reference needs it.
            import hvac

            verify: bool | str = self._get("CACERT") or self._get("SKIP_VERIFY").lower() not in ("1", "true")
            token = self._token()
            client = hvac.Client(
                url=address, token=token or "", namespace=self._get("NAMESPACE") or None, verify=verify, timeout=TIMEOUT_S
            )
            if token is None:
                self._log_in(client)
            self._client = client
        return self._client

    def _token(self) -> str | None:
        """None: one must be asked for with `_log_in`."""
        if token := self._get("TOKEN"):
            return token
        if file := self._get("TOKEN_FILE"):
            return _content(Path(file), "VAULT_TOKEN_FILE")
        if self._get("ROLE_ID") or self._get("KUBERNETES_ROLE"):
            return None
        home = Path(self._env.get("HOME") or "/nonexistent") / ".vault-token"
        if not home.is_file():
            raise SecretError("there is no token for Vault", _TOKENS)
        return _content(home, "the token file")

    def _log_in(self, client: Any) -> None:
        if role := self._get("ROLE_ID"):
            file = self._get("SECRET_ID_FILE")
            secret = _content(Path(file), "VAULT_SECRET_ID_FILE") if file else self._get("SECRET_ID") or None
            with _explained("AppRole login to Vault", "check VAULT_ROLE_ID and VAULT_SECRET_ID"):
                client.auth.approle.login(role, secret, mount_point=self._get("APPROLE_MOUNT") or "approle")
            return
        jwt = _content(self._service_account, "the service account's token")
        with _explained("Kubernetes login to Vault", "check VAULT_KUBERNETES_ROLE, and that the role is bound to this account"):
            mount = self._get("KUBERNETES_MOUNT") or "kubernetes"
            client.auth.kubernetes.login(self._get("KUBERNETES_ROLE"), jwt, mount_point=mount)

    def _get(self, name: str) -> str:
        return (self._env.get(f"VAULT_{name}") or self._env.get(f"BAO_{name}") or "").strip()

    def _where(self) -> str:
        """Its address without a password that may be in it."""
        try:
            parts = urlsplit(self._get("ADDR"))
            return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        except ValueError:
            return "VAULT_ADDR"


class _Gone(Exception):
    """It can't be reached or is not able to serve: no use in asking again now."""


@contextmanager
def _explained(what: str, hint: str) -> Iterator[None]:
    """Turns hvac's errors, which quote what the server sent, into ours."""
    from hvac import exceptions
    from requests.exceptions import RequestException, SSLError

    refused: dict[type[Exception], str] = {
        exceptions.Forbidden: "permission denied: the token is not valid, or its policy does not allow it",
        exceptions.Unauthorized: "permission denied",
        exceptions.InvalidPath: "there is nothing",
        exceptions.InvalidRequest: "the request was refused",
    }
    try:
        yield
    except SSLError:
        raise _Gone("shows a certificate that is not trusted; name its authority in VAULT_CACERT") from None
    except (RequestException, UnicodeError):
        raise _Gone("does not answer") from None
    except tuple(refused) as error:
        said = next(words for kind, words in refused.items() if isinstance(error, kind))
        raise SecretError(f"{what}: {said}", hint) from None
    except exceptions.VaultError as error:
        raise _Gone(f"is not able to serve ({type(error).__name__})") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SecretError(f"{what}: the reply is not one of Vault's", "check VAULT_ADDR") from None


def _content(file: Path, what: str) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not text"
        raise SecretError(f"{what} {str(file)!r} can't be read: {why}", _TOKENS) from None
