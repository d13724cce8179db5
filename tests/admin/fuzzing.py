"""Every operation of the document, with inputs that Schemathesis derives from it, right and wrong ones, on a running application.

    python -m tests.admin.fuzzing --examples 300 [--postgresql]

What is held to: no answer of 5xx, no status or content that the document does not name, bodies as it describes them, nothing
that the document calls wrong accepted, nothing without a token. Ids are those of objects that exist, half of the time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import GenerationConfig

from freehold.admin.app import make_app
from freehold.admin.who import who
from freehold.config.load import load
from freehold.control.owned import FileOwned
from freehold.control.plane import Plane
from freehold.control.refusal import Conflict
from freehold.store.address import Address, database, parse
from freehold.store.engine import open_engine
from freehold.store.migrate import upgrade
from freehold.upstream.catalogue import PROVIDERS
from tests import postgres
from tests.admin.operations import MAKERS

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)


class Figures:
    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.by_operation: dict[str, Counter[str]] = {}

    def add(self, operation: str, status: int) -> None:
        self.statuses[str(status)] += 1
        self.by_operation.setdefault(operation, Counter())[str(status)] += 1

    def __str__(self) -> str:
        lines = [f"{name:32} {dict(sorted(found.items()))}" for name, found in self.by_operation.items()]
        return "\n".join([*lines, f"{sum(self.statuses.values())} requests: {dict(sorted(self.statuses.items()))}"])


@contextmanager
def planes(address: Address, data: Path) -> Iterator[Plane]:
    engine = open_engine(address)
    upgrade(engine)
    try:
        yield Plane(engine, address, data, FileOwned(None, lambda file: load(file, {}, PROVIDERS)))
    finally:
        engine.dispose()


def fuzz(plane: Plane, token: str, examples: int, started_with: int = 0) -> Figures:
    """Raises what Schemathesis or pytest would show: the failure with a command that repeats it."""
    figures = Figures()
    app = make_app(plane, who)
    document = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    document.config.generation = GenerationConfig(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    checks = [getattr(schemathesis.checks, name, None) or schemathesis.checks.CHECKS.get_one(name) for name in CHECKS]
    for found in document.get_all_operations():
        _operation(found.ok(), plane, token, examples, started_with, checks, figures)
    return figures


def _operation(
    operation: Any, plane: Plane, token: str, examples: int, started_with: int, checks: list[Any], figures: Figures
) -> None:
    noun = operation.path.removeprefix("/api/v1/").partition("/")[0]
    there: list[str] = []

    def real() -> str:
        if not there:
            try:
                there.append(MAKERS[noun](plane, "default", "member_owner"))
            except Conflict:  # names are made up, too: one of ours is taken
                there.append("taken")
        return there.pop()

    @seed(started_with)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=_cases(operation), exists=st.booleans(), elsewhere=st.integers(0, 9))
    def ask(case: Any, exists: bool, elsewhere: int) -> None:
        if exists and case.path_parameters and noun in MAKERS:
            case.path_parameters["id"] = real()
        # Nearly every workspace that is made up is a 404, and nearly every If-Match a 422.
        for name, share in (("x-freehold-workspace", 1), ("if-match", 3)):
            if elsewhere >= share and case.headers is not None:
                case.headers.pop(name, None)
        answer = case.call(headers={"authorization": f"Bearer {token}"})
        figures.add(operation.definition.raw["operationId"], answer.status_code)
        case.validate_response(answer, checks=checks, headers={"authorization": f"Bearer {token}"})

    ask()


def _cases(operation: Any) -> Any:
    return st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )


def main() -> None:
    from tests.admin.conftest import service

    options = argparse.ArgumentParser()
    options.add_argument("--examples", type=int, default=200, help="inputs for each operation")
    options.add_argument("--seed", type=int, default=int(time.time()))
    options.add_argument("--postgresql", action="store_true")
    given = options.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        if given.postgresql:
            with postgres.server(given.seed % 20_000 + 20_000) as server, planes(parse(server.create("fuzz")), data) as plane:
                figures = fuzz(plane, service(plane, "owner"), given.examples, given.seed)
        else:
            with planes(database(data, {}), data) as plane:
                figures = fuzz(plane, service(plane, "owner"), given.examples, given.seed)
    print(f"{figures}\nseed {given.seed}, {time.monotonic() - began:.0f} s, no departure from the document")


if __name__ == "__main__":
    main()
