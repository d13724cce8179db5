"""Where the master key is: FREEHOLD_MASTER_KEY, FREEHOLD_MASTER_KEY_FILE, or DATA/master.key, made at the first need.

A source holds one key or several, each as base64 or hex, between spaces, commas or line ends: the first is in use, the others
came before it. FREEHOLD_MASTER_KEY_PREVIOUS adds more of those. Either variable may hold references (`vault:path#field`,
`file:/run/secrets/x`) in place of keys.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from freehold.config.references import References, SecretError, is_reference
from freehold.store.sealing import KEY_BYTES, SealError

VARIABLE = "FREEHOLD_MASTER_KEY"
FILE_VARIABLE = "FREEHOLD_MASTER_KEY_FILE"
PREVIOUS_VARIABLE = "FREEHOLD_MASTER_KEY_PREVIOUS"
FILE = "master.key"

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{43}=?\Z")
_HEX = re.compile(r"[0-9a-fA-F]{64}\Z")
_FORM = '32 random bytes as base64 or hex: make one with "openssl rand -base64 32"'


def path(data: Path) -> Path:
    return data / FILE


def find(environ: Mapping[str, str], data: Path, *, make: bool) -> list[bytes]:
    """The keys, the one in use first. Raises SealError."""
    references = References(environ)
    given, file = environ.get(VARIABLE, "").strip(), environ.get(FILE_VARIABLE, "").strip()
    if given and file:
        raise SealError(f"{VARIABLE} and {FILE_VARIABLE} are both set; unset one of them")
    if given:
        keys = _keys(given, VARIABLE, references)
    elif file:
        keys = _parsed(_resolved(references, f"file:{Path(file).absolute()}", FILE_VARIABLE), FILE_VARIABLE)
    else:
        if make and not path(data).exists():
            _make(data)
        keys = _read(data)
    previous = environ.get(PREVIOUS_VARIABLE, "").strip()
    return [*keys, *(_keys(previous, PREVIOUS_VARIABLE, references) if previous else ())]


def rotate_file(data: Path) -> None:
    """Put a new key in front of those in DATA/master.key, in one step. Raises SealError, OSError."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(data):
        _write(data, [new_key(), *_read(data)], replace=True)


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def _read(data: Path) -> list[bytes]:
    try:
        text = path(data).read_text("ascii")
    except FileNotFoundError:
        raise SealError(
            f"there is no master key: {path(data)} does not exist and {VARIABLE} is not set; give the gateway and the control "
            "plane the same one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SealError(f"{path(data)} can't be read: {why}; restore the master key from where you keep it") from None
    return _parsed(text, str(path(data)))


def _make(data: Path) -> None:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(data, [new_key()], replace=False)


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    """Of two that rotate at once, neither loses the other's key."""
    directory = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _write(data: Path, keys: list[bytes], *, replace: bool) -> None:
    """All of it or nothing, readable for the owner only. Without `replace` the first of several makers wins."""
    fd, temporary = tempfile.mkstemp(dir=data, prefix=".master-", suffix=".tmp")  # made with mode 0600
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(b"".join(base64.b64encode(key) + b"\n" for key in keys))
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path(data))
        else:
            try:
                os.link(temporary, path(data))
            except FileExistsError:
                pass  # another process was faster: its key is the one
            os.unlink(temporary)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _keys(text: str, source: str, references: References) -> list[bytes]:
    keys: list[bytes] = []
    for word in re.split(r"[\s,]+", text):
        if is_reference(word):
            keys += _parsed(_resolved(references, word, source), f"{source} ({word})")
        else:
            keys += _parsed(word, source)
    return keys


def _resolved(references: References, reference: str, source: str) -> str:
    try:
        return references.resolve(reference)
    except SecretError as error:
        raise SealError(f"{source}: {error}") from None


def _parsed(text: str, source: str) -> list[bytes]:
    words = [word for word in re.split(r"[\s,]+", text) if word]
    if not words:
        raise SealError(f"{source} is empty; it holds {_FORM}")
    keys = []
    for word in words:
        if _HEX.match(word):
            keys.append(bytes.fromhex(word))
        elif _BASE64.match(word):
            keys.append(base64.urlsafe_b64decode(word.rstrip("=").replace("+", "-").replace("/", "_") + "="))
        else:
            raise SealError(f"{source} holds {len(word)} characters that are no master key; it holds {_FORM}")
    return keys
