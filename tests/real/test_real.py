"""A real model on this machine, by every client dialect's official SDK: `make test-real`.

It is a small model and rambles: what is asserted is the shape, the ending, the usage, and the line in the ledger.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.real.clients import CLIENTS, TEXTS, TOKENS, Said
from tests.real.conftest import KEY, MODEL, Gateway

pytestmark = pytest.mark.real

TARGETS = ("translated", "llamacpp")
CUT = {"length", "max_tokens", "MAX_TOKENS", "max_output_tokens"}
DONE = {"stop", "end_turn", "STOP", "completed", "COMPLETE", "stop_sequence"}
BOUND = [name for name, client in CLIENTS.items() if hasattr(client, "schema")]
EMBEDDING = [name for name, client in CLIENTS.items() if hasattr(client, "embed")]


def client(gateway: Gateway, dialect: str, provider: str) -> Any:
    return CLIENTS[dialect](gateway.up.url, KEY, f"{provider}/{MODEL}")


def billed(line: dict[str, Any]) -> tuple[int, int]:
    assert (line["kind"], line["outcome"], line["status"], line.get("estimated", False)) == ("chat", "ok", 200, False)
    return line["input"], line["output"]


@pytest.mark.parametrize("provider", TARGETS)
@pytest.mark.parametrize("dialect", CLIENTS)
def test_a_chat(gateway: Gateway, dialect: str, provider: str) -> None:
    check(gateway, client(gateway, dialect, provider).chat())


@pytest.mark.parametrize("provider", TARGETS)
@pytest.mark.parametrize("dialect", CLIENTS)
def test_a_stream_of_several_events_that_ends_well(gateway: Gateway, dialect: str, provider: str) -> None:
    said = client(gateway, dialect, provider).stream()
    check(gateway, said)
    assert said.events > 3


def check(gateway: Gateway, said: Said) -> None:
    assert said.text
    assert said.ended.lower() in {word.lower() for word in CUT | DONE}
    assert said.input > 0 and 0 < said.output <= TOKENS
    if said.output < TOKENS:
        assert said.ended in DONE
    assert billed(gateway.new_line()) == (said.input, said.output)


@pytest.mark.parametrize("dialect", BOUND)
def test_an_answer_that_a_schema_binds(gateway: Gateway, dialect: str) -> None:
    said = client(gateway, dialect, "translated").schema()
    assert billed(gateway.new_line()) == (said.input, said.output)
    answer = json.loads(said.text)
    assert set(answer) == {"sky", "wet"}
    assert answer["sky"] in ("clear", "grey") and isinstance(answer["wet"], bool)
    assert said.ended in DONE


@pytest.mark.parametrize("provider", TARGETS)
@pytest.mark.parametrize("dialect", EMBEDDING)
def test_embeddings(gateway: Gateway, dialect: str, provider: str) -> None:
    vectors = client(gateway, dialect, provider).embed()
    assert len(vectors) == len(TEXTS) and len(vectors[0]) == len(vectors[1]) >= 256
    for vector in vectors:
        assert math.isclose(math.hypot(*vector), 1.0, abs_tol=0.01)  # llama.cpp's are normalised
    assert vectors[0] != vectors[1]
    line = gateway.new_line()
    assert (line["kind"], line["outcome"], line.get("estimated", False)) == ("embeddings", "ok", False)
    assert line["input"] > 0
