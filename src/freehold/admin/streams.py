"""What writes into a file, as a response that is streamed: in memory is only what is on its way."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

PIECE_BYTES = 64 * 1024


def piped(write: Callable[[BinaryIO], object]) -> Iterator[bytes]:
    """What `write` writes, in pieces. A slow reader holds it up, one that goes away ends it.

    Raises what `write` raises, after all that was written before.
    """
    reader, writer = os.pipe()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with os.fdopen(writer, "wb") as out:
                write(out)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while piece := os.read(reader, PIECE_BYTES):
            yield piece
    finally:
        os.close(reader)  # whoever still writes gets an error
        thread.join()
    if failed:
        raise failed[0]
