from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

from sqlalchemy import text

from freehold.store.address import database
from freehold.store.engine import open_engine, reading
from tests.databases import Store


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


def test_many_threads_use_a_database_at_once_and_none_takes_anothers_connection(store: Store) -> None:
    """SQLAlchemy's own choice for such a URL closed connections that others were using, once there were more than five."""

    def count(_: int) -> int:
        with reading(store.engine) as connection:
            sleep(0.01)
            return int(connection.scalar(text("SELECT count(*) FROM users")) or 0)

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(count, range(200))) == {0}
