"""A body that is still arriving when its call begins: read what the route depends on, and leave the rest to be streamed.

Only uploads come this way: forms with files, files, and what is passed through (gateway/endpoints.py says which).
A form's model may stand behind its file. The first MiB is held in memory; a form that ends within it is a call like any
other. A longer one goes on as it comes once its model is known. Where it is not, the form is kept in a temporary file
without a name until it is whole: slower, but it can be sent again to another target.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from io import BytesIO
from time import monotonic_ns
from typing import IO, Protocol

from msgspec import structs

from freehold.base.errors import TooLarge, Unavailable
from freehold.observe import log
from freehold.pipeline import bound
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.input import Input
from freehold.upstream.transport import Streamed
from freehold.wire.dialect import BOUND
from freehold.wire.dialects.openai_chat.media import FORM_FIELDS
from freehold.wire.multipart import FormScanner, Upload

HELD_BYTES = 1024 * 1024  # of a form, before its model must be known
_BLOCK_BYTES = 256 * 1024  # to and from the disk at once


class Rest(Protocol):
    """What follows the bytes in `Upload.body`."""

    @property
    def repeatable(self) -> bool:
        """All of the body can still be sent, to another target or once more."""
        ...

    def body(self, upload: Upload, model: str) -> Streamed:
        """The whole body for a target whose name for the model is this one."""
        ...

    def close(self) -> None: ...


async def begin(x: Exchange) -> None:
    """Read of `x.incoming` what must be known. Sets `x.body`, `x.asked`, and `x.rest` where more is to come.

    Raises TooLarge, InvalidRequest, RequestTimeout, NotFound, Unavailable.
    """
    incoming = x.incoming
    assert incoming is not None
    if x.kind not in BOUND:
        await _form(x, incoming)
    elif bound.must_be_whole(x):
        x.body = await _whole(incoming)
    else:
        x.rest = Arriving(incoming, None)
    x.arrived_ns = monotonic_ns()  # until now the client had its time, not we


async def _whole(incoming: Input) -> bytes:
    body, size = BytesIO(), 0
    while piece := await incoming.read():
        size += len(piece)
        if size > incoming.hold_bytes:
            raise TooLarge(
                f"The request body has more than {incoming.hold_bytes} bytes, the most that are read of one that must be held: "
                "a chat that is passed through, or a request that is signed. Raise server.max_body_mib."
            )
        body.write(piece)
    return body.getvalue()


async def _form(x: Exchange, incoming: Input) -> None:
    scanner = FormScanner(x.asked.content_type, FORM_FIELDS)
    held, size = BytesIO(), 0
    while size < HELD_BYTES:
        piece = await incoming.read()
        if not piece:
            scanner.close()
            break
        scanner.feed(piece)
        held.write(piece)
        size += len(piece)
    else:
        if "model" in scanner.form.texts:
            x.rest = Arriving(incoming, scanner)
        else:
            x.rest = await _spooled(incoming, scanner, held)
    x.asked = structs.replace(x.asked, form=scanner.form)
    x.body = held.getvalue()


class Arriving:
    """The rest comes from the client as it is sent on. `scanner` goes on reading the form, so that a second model is refused."""

    def __init__(self, incoming: Input, scanner: FormScanner | None) -> None:
        self._incoming = incoming
        self._scanner = scanner
        self._touched = False
        self._left = incoming.length

    @property
    def repeatable(self) -> bool:
        return not self._touched

    def body(self, upload: Upload, model: str) -> Streamed:
        pieces = [piece for piece in upload.pieces(model) if piece][::-1]
        length = self._incoming.length
        grown = sum(map(len, pieces)) - len(upload.body)
        if length is not None and not self._touched:
            self._left = length - len(upload.body)

        async def read() -> bytes:
            return bytes(pieces.pop()) if pieces else await self._next()

        return Streamed(None if length is None else length + grown, read)

    async def _next(self) -> bytes:
        data = await self._incoming.read()
        self._touched = True
        if self._left is not None:
            self._left -= len(data)
        if self._scanner is not None:
            # Before it leaves: what is wrong with it must not be complete at the provider.
            self._scanner.feed(data)
            if not data or self._left == 0:
                self._scanner.close()
        return data

    def close(self) -> None:
        pass


async def _spooled(incoming: Input, scanner: FormScanner, held: BytesIO) -> Spooled:
    """The whole form in a file, `held` first, which is emptied."""
    loop = asyncio.get_running_loop()
    try:
        # It has no name: the kernel frees its blocks however this process ends.
        file = tempfile.TemporaryFile(prefix="freehold-upload-")  # noqa: SIM115
    except OSError as error:
        raise _no_room(error) from None
    size = 0
    try:
        while True:
            piece = await incoming.read()
            if piece:
                scanner.feed(piece)
                held.write(piece)
            if held.tell() >= _BLOCK_BYTES or not piece:
                size += held.tell()
                await loop.run_in_executor(None, file.write, held.getvalue())
                held.seek(0)
                held.truncate()
            if not piece:
                scanner.close()
                await loop.run_in_executor(None, file.flush)
                return Spooled(file, size)
    except OSError as error:
        _shut(file)
        raise _no_room(error) from None
    except BaseException:
        _shut(file)
        raise


class Spooled:
    """All of it is in a file; `Upload.body` is empty, and its span counts in the file."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size

    @property
    def repeatable(self) -> bool:
        return True

    def body(self, upload: Upload, model: str) -> Streamed:
        assert upload.model is not None
        start, end = upload.model
        name = model.encode()
        at = 0

        async def read() -> bytes:
            nonlocal at
            stop = start if at < start else self._size
            if at == start:
                at = end
                return name
            block = await self._read(at, min(_BLOCK_BYTES, stop - at))
            at += len(block)
            return block

        return Streamed(self._size - (end - start) + len(name), read)

    async def _read(self, at: int, size: int) -> bytes:
        if not size:
            return b""
        try:
            block = await asyncio.get_running_loop().run_in_executor(None, self._read_now, at, size)
        except OSError as error:
            raise _no_room(error) from None
        if not block:
            raise Unavailable("The upload could not be read back from the gateway's disk.")
        return block

    def _read_now(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)

    def close(self) -> None:
        _shut(self._file)


def _shut(file: IO[bytes]) -> None:
    try:
        file.close()  # which may write what is buffered
    except OSError:
        pass


def _no_room(error: OSError) -> Unavailable:
    log.failure("upload_not_kept", error, folder=tempfile.gettempdir())
    return Unavailable(
        f"The upload could not be kept on the gateway's disk until it was whole: {os.strerror(error.errno or 0)}. "
        "Send the form's fields before its file: it is then passed on as it comes."
    )
