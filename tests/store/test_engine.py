from __future__ import annotations

import threading
from pathlib import Path

from freehold.store.address import database
from freehold.store.engine import open_engine


def test_of_those_who_open_a_new_file_at_once_none_is_told_that_it_is_locked(tmp_path: Path) -> None:
    """A gateway's processes and a command may all be the first. It went wrong in one of five rounds."""
    failed: list[Exception] = []

    def connect(data: Path, together: threading.Barrier) -> None:
        engine = open_engine(database(data, {}))
        together.wait(30)
        try:
            engine.connect().close()
        except Exception as error:
            failed.append(error)
        engine.dispose()

    for number in range(40):
        together = threading.Barrier(6)
        data = tmp_path / str(number)
        threads = [threading.Thread(target=connect, args=(data, together)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
