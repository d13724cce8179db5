"""Bad input over the wire, in both dialects: status and body as the real APIs give them, a record where the key was known."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests import client
from tests.endtoend.conftest import CHAT, KEY, MESSAGES, NARROW_KEY, PATHS, Freehold, ask, error_of

HI = b'"messages":[{"role":"user","content":"hello"}],"max_tokens":9'
GOOD = b'{"model":"lab/m",' + HI + b"}"

# bodies -> the field that the message must name ("" where none can be)
MALFORMED: dict[bytes, str] = {
    b"": "",
    b"{": "",
    GOOD[:40]: "",
    GOOD[:-1]: "",
    GOOD + b"}": "",
    GOOD + GOOD: "",
    b"[]": "",
    b"null": "",
    b"7": "",
    b'"text"': "",
    b"\xff\xfe": "",
    b"\x00" * 50: "",
    b"<xml/>": "",
    b"model=lab/m": "",
    b"[" * 60_000: "",
    b'{"a":' * 12_000: "",
    b"{}": "model",
    b"{" + HI + b"}": "model",
    b'{"model":null,' + HI + b"}": "model",
    b'{"model":5,' + HI + b"}": "model",
    b'{"model":["lab/m"],' + HI + b"}": "model",
    b'{"model":"",' + HI + b"}": "model",
    b'{"model":"lab/m","max_tokens":9}': "messages",
    b'{"model":"lab/m","max_tokens":9,"messages":null}': "messages",
    b'{"model":"lab/m","max_tokens":9,"messages":[]}': "messages",
    b'{"model":"lab/m","max_tokens":9,"messages":{}}': "messages",
    b'{"model":"lab/m","max_tokens":9,"messages":"hello"}': "messages",
    b'{"model":"lab/m","max_tokens":"9","messages":[{"role":"user","content":"x"}]}': "max_tokens",
    b'{"model":"lab/m","stream":"yes",' + HI + b"}": "stream",
    b'{"model":"lab/m","stream":1,' + HI + b"}": "stream",
}


async def test_a_malformed_body_is_400_and_names_the_field(freehold: Freehold) -> None:
    lab = await freehold.upstream()
    freehold.start()
    for path in (CHAT, MESSAGES):
        for body, named in MALFORMED.items():
            got = await freehold.call(path, body)
            shown = (path, body[:60])
            assert got.status == 400 and got.whole, shown
            error = error_of(path, got)
            assert error["type"] == "invalid_request_error", shown
            assert named in error["message"], (shown, error)
            if path == CHAT:
                assert (error["param"], error["code"]) == (named or None, None), (shown, error)
            line = await freehold.line(got.headers["x-freehold-call-id"])
            assert (line.outcome, line.status, line.key, line.cost_nusd) == ("refused", 400, "dev", None), shown
    assert not lab.seen
    assert "error" not in freehold.log.partition("curl")[2]


@PATHS
async def test_wrong_types_deep_inside_are_400_where_the_body_must_be_read(freehold: Freehold, path: str) -> None:
    """Within one dialect nested values are the target's to judge; to translate them we have to understand them."""
    other = "anthropic" if path == CHAT else "openai_chat"
    lab = await freehold.upstream(dialect=other)
    freehold.start()
    for messages, param in (
        ([5], "messages[0]"),
        ([{"role": "nobody", "content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": 7}], "messages[0].content"),
        ([{"role": "user", "content": [{"type": "text", "text": {}}]}], "messages[0].content[0].text"),
        ([{"role": "user"}], "messages[0].content"),
    ):
        got = await freehold.call(path, ask(messages=messages))
        assert got.status == 400, messages
        error = error_of(path, got)
        assert error["type"] == "invalid_request_error" and param in error["message"], (messages, error)
        if path == CHAT:
            assert error["param"] == param, (messages, error)
    assert not lab.seen


@PATHS
async def test_an_unknown_model_is_404_with_the_nearest_names(freehold: Freehold, path: str) -> None:
    await freehold.upstream(models=["gpt-4o-mini"])
    freehold.route("fast-model", "lab/m")
    freehold.start()
    for name, near in (("fast-modle", "'fast-model'"), ("lab2/gpt-4o-mini", "'lab/gpt-4o-mini'"), ("zzz", "/v1/models")):
        got = await freehold.call(path, ask(name))
        assert got.status == 404
        error = error_of(path, got)
        assert repr(name) in error["message"] and near in error["message"]
        assert error["type"] == ("invalid_request_error" if path == CHAT else "not_found_error")
        if path == CHAT:
            assert (error["code"], error["param"]) == ("model_not_found", "model")
        line = await freehold.line(got.headers["x-freehold-call-id"])
        assert (line.outcome, line.status, line.route, line.key) == ("refused", 404, name, "dev")
    for odd in ("lab/a\r\nx: y", "lab/\x00", "lab/ä", "lab/" + "m" * 300, "lab/", "/", "\u202e"):
        got = await freehold.call(path, ask(odd))
        assert got.status == 404 and "y" not in got.headers.get("x", ""), odd


@PATHS
async def test_a_missing_or_wrong_key_is_401_and_never_repeated(freehold: Freehold, path: str) -> None:
    lab = await freehold.upstream()
    freehold.start()
    for headers in (
        {},
        {"authorization": "Bearer fh_wrong_key_0123456789"},
        {"authorization": "Bearer "},
        {"authorization": "Basic Zm9vOmJhcg=="},
        {"authorization": KEY},
        {"x-api-key": "fh_wrong_key_0123456789"},
        {"x-api-key": KEY[:-1]},
        {"x-api-key": KEY + "x"},
        {"x-api-key": KEY.upper()},
        {"x-api-key": "é" * 20},
    ):
        got = await freehold.call(path, ask(), key=None, headers=headers)
        assert got.status == 401, headers
        error = error_of(path, got)
        assert "key" in error["message"] and "fh_" not in error["message"]
        assert error["type"] == ("invalid_request_error" if path == CHAT else "authentication_error")
        assert path == MESSAGES or error["code"] == "invalid_api_key"
    assert not lab.seen
    assert not any(line.key for line in freehold.ledger)
    assert KEY not in freehold.log and "fh_wrong" not in freehold.log


@PATHS
async def test_a_key_without_the_model_is_403_and_is_told_what_it_may_use(freehold: Freehold, path: str) -> None:
    lab = await freehold.upstream()
    freehold.route("fast", "lab/m")
    freehold.config["keys"].append({"name": "narrow", "key": NARROW_KEY, "models": ["fast"]})
    freehold.start()
    assert (await freehold.call(path, ask("fast"), key=NARROW_KEY)).status == 200
    got = await freehold.call(path, ask("lab/m"), key=NARROW_KEY)
    assert got.status == 403
    error = error_of(path, got)
    assert "'lab/m'" in error["message"] and "fast" in error["message"] and KEY not in error["message"]
    assert error["type"] == ("invalid_request_error" if path == CHAT else "permission_error")
    line = await freehold.line(got.headers["x-freehold-call-id"])
    assert (line.outcome, line.status, line.key, line.route) == ("refused", 403, "narrow", "lab/m")
    assert len(lab.seen) == 1


@PATHS
async def test_a_body_too_large_is_413_before_it_is_read(freehold: Freehold, path: str) -> None:
    freehold.config["server"]["max_body_mib"] = 0.25
    lab = await freehold.upstream()
    freehold.start()
    head = client.request(path, b"", key=KEY, headers={"content-length": str(50 * 1024 * 1024)})
    got = await asyncio.wait_for(freehold.raw(head), 2)  # not one byte of the body was sent
    assert got.status == 413 and got.headers["connection"] == "close"
    error = error_of(path, got)
    assert str(256 * 1024) in error["message"]
    assert error["type"] == ("invalid_request_error" if path == CHAT else "request_too_large")
    assert path == MESSAGES or error["code"] == "request_too_large"
    line = await freehold.line(got.headers["x-freehold-call-id"])
    assert (line.outcome, line.status, line.error, line.key) == ("refused", 413, "request_too_large", "dev")

    chunked = client.request(path, None, key=KEY, headers={"transfer-encoding": "chunked"}).replace(b"content-length: 0\r\n", b"")
    got = await asyncio.wait_for(freehold.raw(chunked + b"50000000\r\n"), 2)
    assert got.status == 413
    error_of(path, got)
    # A client that is told by 100-continue before it sends is told so as well.
    waiting = client.request(path, b"", key=KEY, headers={"content-length": "50000000", "expect": "100-continue"})
    assert (await asyncio.wait_for(freehold.raw(waiting), 2)).status == 413
    assert not lab.seen


@PATHS
async def test_a_stranger_may_not_send_a_large_body(freehold: Freehold, path: str) -> None:
    await freehold.upstream()
    freehold.start()
    for headers in ({"content-length": "1000000"}, {"content-length": "5", "expect": "100-continue"}):
        got = await asyncio.wait_for(freehold.raw(client.request(path, b"", headers=headers)), 2)
        assert got.status == 401
        error_of(path, got)


UNSUPPORTED: dict[str, tuple[dict[str, Any], str]] = {
    "audio": (
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}}]}]},
        "messages[0].content",
    ),
    "choices": ({"n": 3}, "n"),
    "file of another provider": (
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-abc"}}]}]},
        "messages[0].content",
    ),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
async def test_content_that_the_target_cannot_carry_is_400_unsupported(freehold: Freehold, case: str) -> None:
    claude = await freehold.upstream("claude", dialect="anthropic")
    freehold.start()
    more, param = UNSUPPORTED[case]
    got = await freehold.call(CHAT, ask("claude/c", **more))
    assert got.status == 400
    error = error_of(CHAT, got)
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "unsupported_content", param)
    line = await freehold.line(got.headers["x-freehold-call-id"])
    assert (line.outcome, line.error, line.input, line.key) == ("refused", "unsupported_content", 0, "dev")
    assert not claude.seen


async def test_a_document_for_a_target_without_them_is_400_in_anthropics_form(freehold: Freehold) -> None:
    lab = await freehold.upstream()
    freehold.start()
    source = {"type": "file", "file_id": "file_1"}
    got = await freehold.call(MESSAGES, ask(messages=[{"role": "user", "content": [{"type": "document", "source": source}]}]))
    assert got.status == 400
    assert error_of(MESSAGES, got)["type"] == "invalid_request_error"
    assert (await freehold.line()).error == "unsupported_content"
    assert not lab.seen


@PATHS
async def test_a_clients_request_id_is_echoed_and_is_never_ours(freehold: Freehold, path: str) -> None:
    lab = await freehold.upstream()
    freehold.start()
    for mine in ("mine-1", "call_" + "0" * 27, "x" * 128):
        got = await freehold.call(path, ask(), headers={"x-request-id": mine})
        assert got.headers["x-request-id"] == mine
        call_id = got.headers["x-freehold-call-id"]
        assert call_id.startswith("call_") and call_id != mine
        line = await freehold.line(call_id)
        assert (line.call_id, line.client_id) == (call_id, mine)
        assert mine not in str(lab.seen[-1].headers)
    for odd in ("x" * 129, "two words", "é"):
        got = await freehold.call(path, ask(), headers={"x-request-id": odd})
        assert got.headers["x-request-id"] == got.headers["x-freehold-call-id"], "what can't be echoed is replaced"
    for wrong in ({"body": b"{"}, {"body": b"", "headers": {"content-encoding": "br"}}, {"method": "GET"}):
        refused = await freehold.call(path, **{**wrong, "headers": {"x-request-id": "mine-2", **wrong.get("headers", {})}})
        assert 400 <= refused.status < 500 and refused.headers["x-request-id"] == "mine-2"
        line = await freehold.line(refused.headers["x-freehold-call-id"])
        assert (line.outcome, line.status, line.key, line.client_id) == ("refused", refused.status, "dev", "mine-2")


async def test_paths_and_methods_that_are_not_there(freehold: Freehold) -> None:
    await freehold.upstream()
    freehold.start()
    for path, method, status in (
        ("/v1/nothing", "POST", 404),
        ("/v1/chat/completions/", "POST", 404),
        ("/V1/chat/completions", "POST", 404),
        ("/v1//chat/completions", "POST", 404),
        ("/v1/%63hat/completions", "POST", 404),
        ("/../etc/passwd", "GET", 404),
        (CHAT, "GET", 405),
        (MESSAGES, "DELETE", 405),
        ("/v1/models", "POST", 405),
    ):
        got = await freehold.call(path, ask() if method == "POST" else None, method=method)
        assert got.status == status, (path, method)
        error_of(MESSAGES if path == MESSAGES else CHAT, got)
    got = await freehold.call("/v1/nothing", ask(), headers={"anthropic-version": "2023-06-01"})
    assert got.status == 404 and error_of(MESSAGES, got)["type"] == "not_found_error"
    got = await freehold.call(CHAT, b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert got.status == 400
