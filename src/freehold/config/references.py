"""Secrets that live elsewhere: `file:/run/secrets/x` and `vault:path#field` -> the secret itself.

Blocking, for the thread or process that loads a configuration. Messages name the reference, never what was found there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from freehold.config.vault import Vault

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}\Z", re.ASCII)
MAX_BYTES = 64 * 1024
PREFIXES = ("file:", "vault:")

Stamp = tuple[int, int, int] | None  # of a file: change time, size, inode; None: it can't be looked at


class SecretError(Exception):
    """A reference leads to nothing that could be used. `hint`: what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message} ({hint})")
        self.message = message
        self.hint = hint


def is_reference(text: str) -> bool:
    return text.startswith(PREFIXES)


def variable(text: str) -> str:
    """NAME for `${NAME}`, "" for what is anything else."""
    found = _VARIABLE.match(text)
    return found[1] if found else ""


def stamp(path: Path) -> Stamp:
    """Differs when the file has changed, also by a swapped symlink as mounted secrets are."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class References:
    """One lives as long as its process and remembers where secrets came from, to tell when to look again.

    `remote`: some came from Vault in the last reading, and nothing tells when they change.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.begin()

    def begin(self) -> None:
        """A new reading: nothing is taken from the one before."""
        self.remote = False
        self._stamps: dict[Path, Stamp] = {}
        self._vault: Vault | None = None

    def changed(self) -> bool:
        """Whether a file that the last reading asked for is no longer as it was. Cheap, for a thread of any kind."""
        return any(stamp(path) != seen for path, seen in list(self._stamps.items()))

    def resolve(self, reference: str) -> str:
        """The secret, which is not empty. Raises SecretError."""
        kind, _, rest = reference.partition(":")
        return self._file(rest) if kind == "file" else self._from_vault(rest)

    def _file(self, name: str) -> str:
        """Its content without the line end that editors and `echo` leave."""
        path = Path(name)
        if not path.is_absolute():
            raise SecretError(f"file:{name} names no absolute path", "write file:/run/secrets/NAME")
        self._stamps[path] = stamp(path)  # before it is read: a change from here on is noticed
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
            text = raw.decode()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SecretError(f"file:{name} can't be read: {why}", "is it mounted, and may this user read it?") from None
        if len(raw) > MAX_BYTES:
            raise SecretError(f"file:{name} is longer than {MAX_BYTES:,} bytes", "name a file that holds one secret alone")
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise SecretError(f"file:{name} is empty", "write the secret into it")
        return text

    def _from_vault(self, rest: str) -> str:
        self.remote = True
        if self._vault is None:
            from freehold.config.vault import Vault

            self._vault = Vault(self._env)
        path, _, field = rest.rpartition("#")
        path = path.strip("/")
        if not path or not field:
            raise SecretError(f"vault:{rest} names no path and field", "write vault:PATH#FIELD, such as vault:secret/openai#key")
        return self._vault.read(path, field)


class Unread(References):
    """For those who look at a configuration and need none of its secrets: no file is read and no Vault asked.

    In the place of each secret stands a text that is no secret, as long as one and a different one for each reference.
    """

    def resolve(self, reference: str) -> str:
        return f"unread-{sha256(reference.encode()).hexdigest()}"
