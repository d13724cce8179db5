"""Files, batches and passthrough through the whole gateway. All replies here are made up but where marked as recorded."""

from __future__ import annotations

import pytest
from msgspec import json

from freehold.config.schema import ProviderConfig
from freehold.pipeline import batch
from tests.pipeline.conftest import KEY, RunningGateway
from tests.pipeline.upstream import Act, reply, stream
from tests.traffic import exchanges, needs_traffic

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
FORM = b'--XX\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--XX\r\n'
FORM += b'content-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n\x00\xff{}\r\n--XX--\r\n'
TYPE = {"content-type": "multipart/form-data; boundary=XX"}


@pytest.fixture(autouse=True)
def forget() -> None:
    batch._seen.clear()


# --- files and batches ---


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/v1/files", {}), ("/lab/v1/files", {}), ("/v1/files", {"x-freehold-provider": "lab"})],
)
async def test_the_provider_is_the_only_one_or_named(gateway: RunningGateway, path: str, headers: dict[str, str]) -> None:
    lab = await gateway.upstream("lab")
    await gateway.upstream("claude", "anthropic")
    lab.acts(Act(pieces=[b'{"id":"file-1","object":"file"}']))
    got = await gateway.call(path, FORM, headers={**TYPE, **headers})
    assert (got.status, got.json["id"]) == (200, "file-1")
    seen = lab.seen[0]
    assert (seen.path, seen.body, seen.headers["content-type"]) == ("/v1/files", FORM, TYPE["content-type"])
    assert seen.headers["authorization"] == "Bearer sk-upstream-secret"
    line = await gateway.line()
    assert (line.kind, line.route, line.provider, line.outcome, line.cost_nusd) == ("files", "lab/*", "lab", "ok", None)
    assert (line.input, line.estimated) == (0, False)


async def test_two_providers_need_a_name(gateway: RunningGateway) -> None:
    one, two = await gateway.upstream("one"), await gateway.upstream("two")
    got = await gateway.call("/v1/batches", method="GET")
    assert got.status == 400 and "one, two" in got.json["error"]["message"]
    assert (await gateway.call("/nobody/v1/batches", method="GET")).status == 404
    two.acts(Act(pieces=[b'{"object":"list","data":[]}']))
    assert (await gateway.call("/two/v1/batches?limit=2&after=b", method="GET")).json["data"] == []
    assert (two.seen[0].method, two.seen[0].path) == ("GET", "/v1/batches?limit=2&after=b")
    assert "content-length" not in two.seen[0].headers and "content-type" not in two.seen[0].headers
    assert not one.seen


async def test_anthropics_files_do_not_end_up_elsewhere(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    claude = await gateway.upstream("claude", "anthropic")
    got = await gateway.call("/v1/files?beta=true", FORM, headers={**TYPE, "anthropic-version": "2023-06-01"})
    assert got.status == 400 and "/passthrough/anthropic/v1/" in got.json["error"]["message"]
    got = await gateway.call("/claude/v1/files", FORM, headers=TYPE)
    assert got.status == 400 and "/passthrough/claude/" in got.json["error"]["message"]
    assert not lab.seen and not claude.seen


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/files"),
        ("GET", "/v1/files/file-1"),
        ("DELETE", "/v1/files/file-1"),
        ("GET", "/v1/files/file-1/content"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/batches/batch_1"),
        ("POST", "/v1/batches/batch_1/cancel"),
    ],
)
async def test_every_operation_goes_to_its_own_path(gateway: RunningGateway, method: str, path: str) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(pieces=[b'{"id":"x"}'], headers={"openai-organization": "org-secret", "x-ratelimit-limit-requests": "9"}))
    body = b'{"input_file_id":"file-1" ,"endpoint":"/v1/chat/completions"}' if path == "/v1/batches" else None
    got = await gateway.call(path, body, method=method, headers={"content-type": "application/json"} if body else {})
    assert (got.status, got.body) == (200, b'{"id":"x"}')
    assert (lab.seen[0].method, lab.seen[0].path, lab.seen[0].body) == (method, path, body or b"")
    assert "openai-organization" not in got.headers and got.headers["x-ratelimit-limit-requests"] == "9"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/v1/files", 405),
        ("POST", "/v1/files/file-1", 405),
        ("GET", "/v1/files/..", 404),
        ("GET", "/v1/files/%2e%2e/content", 404),
        ("GET", "/v1/files/a/b", 404),
        ("GET", "/v1/chat/completions", 405),
        ("GET", "/lab/v1/chat/completions", 404),
        ("GET", "/v1" * 2000, 404),
    ],
)
async def test_other_paths_and_methods_are_refused(gateway: RunningGateway, method: str, path: str, status: int) -> None:
    lab = await gateway.upstream("lab")
    assert (await gateway.call(path, method=method)).status == status
    assert not lab.seen


async def test_the_methods_of_a_path_are_named(gateway: RunningGateway) -> None:
    got = await gateway.call("/v1/files/file-1", method="PUT")
    assert "use DELETE or GET" in got.json["error"]["message"]


async def test_a_key_for_some_models_has_no_files(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    gateway.config.keys[0].models = ["lab/gpt-*", "lab/m"]
    gateway.reload()
    for path in ("/lab/v1/files", "/passthrough/lab/models"):
        got = await gateway.call(path, method="GET")
        assert (got.status, got.json["error"]["code"]) == (403, "not_allowed")
    gateway.config.keys[0].models = ["lab/*"]
    gateway.reload()
    assert (await gateway.call("/lab/v1/files", method="GET")).status == 200
    assert (await gateway.call("/lab/v1/files", method="GET", key=None)).status == 401
    assert len(lab.seen) == 1


async def test_a_call_without_a_model_is_never_repeated(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(status=500))
    assert (await gateway.call("/v1/batches", b"{}")).status == 500
    assert len(lab.seen) == 1


def output(custom_id: str, **usage: int) -> bytes:
    body = {"id": "c", "model": "gpt-4o-mini-2024", "choices": [], "usage": usage}
    line = {"id": "batch_req_1", "custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}
    return json.encode(line) + b"\n"


CHATS = output("a", prompt_tokens=10, completion_tokens=2, total_tokens=12)
RESPONSES = output("b", input_tokens=7, output_tokens=3, total_tokens=10)


async def test_a_batchs_usage_enters_the_record_once(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    failed = b'{"id":"r","custom_id":"c","response":{"status_code":400,"body":{"error":{}}},"error":null}'
    content = CHATS + RESPONSES + failed
    lab.acts(Act(pieces=[content[:31], content[31:300], content[300:]], content_type="application/octet-stream", gap_s=0.01))
    for _ in range(2):
        got = await gateway.call("/v1/files/file-out/content", method="GET")
        assert (got.body, got.headers["content-type"]) == (content, "application/octet-stream")
    lines = [line for line in gateway.ledger if line.kind == "batch"]
    told = [(line.client_id, line.input, line.output, line.status, line.outcome) for line in lines]
    assert told == [("a", 10, 2, 200, "ok"), ("b", 7, 3, 200, "ok"), ("c", 0, 0, 400, "upstream_error")]
    assert {line.model for line in lines[:2]} == {"gpt-4o-mini-2024"} and {line.key for line in lines} == {"dev"}
    assert lines[0].cost_nusd is None
    assert len([line for line in gateway.ledger if line.kind == "files"]) == 2
    ids = [line.call_id for line in lines]
    batch._seen.clear()  # another worker
    await gateway.call("/v1/files/file-out/content", method="GET")
    assert [line.call_id for line in gateway.ledger if line.kind == "batch"][3:] == ids


async def test_a_batchs_requests_cost_what_the_vendor_says_of_batches(gateway: RunningGateway) -> None:
    openai = await gateway.upstream("openai")
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    openai.acts(Act(pieces=[output("a", **usage).replace(b"gpt-4o-mini-2024", b"gpt-4o-mini-2024-07-18")]))
    await gateway.call("/openai/v1/files/file-out/content", method="GET")
    line = next(line for line in gateway.ledger if line.kind == "batch")
    assert line.cost_nusd == (1000 * 150 + 100 * 600) // 2
    assert line.price_source.startswith("genai-prices ")


@pytest.mark.parametrize(
    "content", [b"\x00\x01binary", b'{"custom_id":"a","method":"POST","url":"/v1","body":{}}\n', b"{}\n" + CHATS, b""]
)
async def test_other_files_are_no_batches(gateway: RunningGateway, content: bytes) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(pieces=[content] if content else [], content_type="application/octet-stream"))
    assert (await gateway.call("/v1/files/file-1/content", method="GET")).body == content
    assert (await gateway.line()).kind == "files"


@needs_traffic
async def test_recorded_files_and_batches_pass_byte_for_byte(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    passed = 0
    for one in exchanges(["files", "batches"], "openai"):
        lab.acts(Act(status=one.status, pieces=[one.response], content_type=one.served_type))
        body = json.encode(one.request) if one.request else FORM
        got = await gateway.call(one.url.partition("api.openai.com")[2], body, headers={} if one.request else TYPE)
        assert (got.status, got.body, lab.seen[-1].body) == (one.status, one.response, body)
        passed += 1
    assert passed == 10


async def test_the_official_sdk(gateway: RunningGateway) -> None:
    openai = pytest.importorskip("openai")
    lab = await gateway.upstream("lab")
    sdk = openai.AsyncOpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{gateway.port}/lab/v1", max_retries=0)
    lab.acts(Act(pieces=[b'{"id":"file-1","object":"file"}']))
    assert (await sdk.files.create(file=("a.jsonl", b"{}"), purpose="batch")).id == "file-1"
    assert (await sdk.files.retrieve("file-1")).id == "file-1"
    lab.acts(Act(pieces=[b'{"id":"batch_1","object":"batch"}']))
    made = await sdk.batches.create(input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h")
    assert (made.id, (await sdk.batches.cancel("batch_1")).id) == ("batch_1", "batch_1")
    lab.acts(Act(pieces=[CHATS], content_type="application/octet-stream"))
    assert (await sdk.files.content("file-2")).content == CHATS
    await sdk.close()
    assert [line.kind for line in gateway.ledger] == ["files", "files", "batches", "batches", "batch", "files"]


# --- passthrough ---


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_anything_passes_with_the_providers_credential(gateway: RunningGateway, method: str) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(status=201, pieces=[b"\x00answer"], content_type="x/y", headers={"etag": "1", "set-cookie": "a=b"}))
    headers = {
        "content-type": "text/x; a=b",
        "x-custom": "1",
        "x-api-key": KEY,
        "cookie": "c=d",
        "connection": "close, x-hop",
        "x-hop": "1",
        "x-freehold-provider": "other",
        "accept-encoding": "gzip",
    }
    body = None if method in ("GET", "DELETE") else b"\xff body"
    got = await gateway.call("/passthrough/lab/fine_tuning/jobs%20x?a=1&b=%2F", body, method=method, headers=headers)
    assert (got.status, got.body, got.headers["content-type"], got.headers["etag"]) == (201, b"\x00answer", "x/y", "1")
    assert "set-cookie" not in got.headers
    seen = lab.seen[0]
    assert (seen.method, seen.path, seen.body) == (method, "/v1/fine_tuning/jobs%20x?a=1&b=%2F", body or b"")
    assert seen.headers["authorization"] == "Bearer sk-upstream-secret"
    assert seen.headers["x-custom"] == "1" and seen.headers["accept-encoding"] == "identity"
    assert not {"cookie", "x-api-key", "x-hop", "x-freehold-provider"} & set(seen.headers)
    assert KEY not in str(seen)
    assert seen.headers["host"] == lab.url.removeprefix("http://")
    line = await gateway.line()
    assert (line.kind, line.route, line.outcome, line.cost_nusd, line.estimated) == ("passthrough", "lab/*", "ok", None, False)


@pytest.mark.parametrize(
    "path",
    [
        "/../x",
        "/a/../../x",
        "/a/%2e%2e/x",
        "/a/%252e%252e/x",
        "/a%2f..%2fx",
        "/a%5c..%5cx",
        "/./x",
        "//evil.example/x",
        "/a//b",
        "/http://evil.example/",
        "/a#b",
        '/"',
        "/%25252525252e",
    ],
)
async def test_no_path_leads_elsewhere(gateway: RunningGateway, path: str) -> None:
    lab = await gateway.upstream("lab")
    got = await gateway.call(f"/passthrough/lab{path}", method="GET")
    assert got.status == 400, got.body
    assert not lab.seen


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/passthrough/lab/x?a=%23#b", {}), ("/v1/files?a#b", {}), ("/v1/files", {"content-type": "text/pl\xe4in"})],
)
async def test_what_can_not_be_sent_is_the_clients_mistake(gateway: RunningGateway, path: str, headers: dict[str, str]) -> None:
    lab = await gateway.upstream("lab")
    assert (await gateway.call(path, b"x", headers=headers)).status == 400
    assert not lab.seen


async def test_a_compressed_body_passes_through_as_it_is(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    await gateway.call("/passthrough/lab/x", b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert (lab.seen[0].body, lab.seen[0].headers["content-encoding"]) == (b"\x1f\x8b", "gzip")


async def test_an_unknown_provider_or_no_path_is_not_found(gateway: RunningGateway) -> None:
    await gateway.upstream("lab")
    for path in ("/passthrough/nobody/x", "/passthrough/http:%2F%2Fevil.example/x", "/passthrough/lab", "/passthrough//x"):
        assert (await gateway.call(path, method="GET")).status == 404


async def test_a_redirect_is_not_followed(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(status=302, headers={"location": "http://169.254.169.254/"}))
    got = await gateway.call("/passthrough/lab/x", method="GET")
    assert got.status == 502 and "location" not in got.headers and len(lab.seen) == 1


async def test_a_client_cant_choose_the_host(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    await gateway.call("http://evil.example/passthrough/lab/x", method="GET", headers={"x-forwarded-host": "evil.example"})
    assert lab.seen[0].headers["host"] == lab.url.removeprefix("http://")
    assert "x-forwarded-host" not in lab.seen[0].headers


@pytest.mark.parametrize("act", [reply(), stream("a", "b")])
async def test_a_chat_that_passes_through_tells_its_usage(gateway: RunningGateway, act: Act) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(act)
    body = json.encode({**CHAT, "stream": act.content_type != "application/json"})
    got = await gateway.call("/passthrough/lab/chat/completions", body, headers={"content-type": "application/json"})
    assert got.body == b"".join(act.pieces)
    assert lab.seen[0].body == body
    line = await gateway.line()
    assert (line.kind, line.route, line.model, line.input, line.output) == ("passthrough", "lab/*", "m", 10, 2)


async def test_an_error_of_the_provider_comes_in_its_own_form_and_cleaned(gateway: RunningGateway) -> None:
    claude = await gateway.upstream("claude", "anthropic")
    error = b'{"type":"error","error":{"type":"not_found_error","message":"no batch for sk-ant-REDACTED"}}'
    claude.acts(Act(status=404, pieces=[error]))
    got = await gateway.call("/passthrough/claude/v1/messages/batches/x", method="GET")
    assert (got.status, got.json["type"], got.json["error"]["type"]) == (404, "error", "not_found_error")
    assert b"sk-ant" not in got.body
    assert claude.seen[0].headers["anthropic-version"] == "2023-06-01"


async def test_the_providers_own_parameters_stay(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab", query={"api-version": "2025"})
    await gateway.call(f"/passthrough/lab/x?api-version=1&key={KEY}&q=2", method="GET")
    assert lab.seen[0].path == "/v1/x?q=2&api-version=2025"
    await gateway.call("/v1/files?limit=1&api-version=1", method="GET")
    assert lab.seen[1].path == "/v1/files?limit=1&api-version=2025"


async def test_a_base_url_that_differs_by_model_can_not_be_passed_below(gateway: RunningGateway) -> None:
    gateway.config.providers["az"] = ProviderConfig(dialect="openai_chat", base_url="http://127.0.0.1:1/{model}", api_key="k")
    gateway.reload()
    assert (await gateway.call("/passthrough/az/x", method="GET")).status == 400


@needs_traffic
@pytest.mark.parametrize("dialect", ["anthropic", "gemini"])
async def test_recorded_chats_of_other_apis_tell_their_usage(gateway: RunningGateway, dialect: str) -> None:
    lab = await gateway.upstream("lab", dialect)
    told = passed = 0
    chats = [one for one in exchanges(None, dialect) if "/messages" in one.url or "enerateContent" in one.url]
    for one in [one for one in chats if one.status == 200 and one.request][:60]:
        path = "/" + one.url.split("/", 3)[3]
        path = path.removeprefix("/v1beta") if dialect == "gemini" else path
        lab.acts(Act(pieces=[one.response], content_type=one.served_type))
        got = await gateway.call(
            f"/passthrough/lab{path}", json.encode(one.request), headers={"content-type": "application/json"}
        )
        assert got.body == one.response, one.id
        assert lab.seen[-1].json == one.request
        passed += 1
        told += bool(gateway.ledger[-1].input)
    assert passed >= 20 and told >= passed * 0.9, (passed, told)


@pytest.mark.parametrize(
    ("provider", "sent", "header", "value"),
    [
        ("deepgram", "authorization", "authorization", "Token sk-upstream-secret"),
        ("elevenlabs", "xi-api-key", "xi-api-key", "sk-upstream-secret"),
        ("assemblyai", "authorization", "authorization", "sk-upstream-secret"),
        ("replicate", "authorization", "authorization", "Bearer sk-upstream-secret"),
        ("cartesia", "x-api-key", "x-api-key", "sk-upstream-secret"),
    ],
)
async def test_vendors_with_an_api_of_their_own_get_the_key_as_they_want_it(
    gateway: RunningGateway, provider: str, sent: str, header: str, value: str
) -> None:
    """The client sends its gateway key as that vendor's SDK would."""
    lab = await gateway.upstream(provider)
    gateway.config.providers[provider] = ProviderConfig(base_url=lab.url, api_key="sk-upstream-secret")
    gateway.reload()
    lab.acts(Act(pieces=[b"sound"], content_type="audio/mpeg"))
    written = {"deepgram": f"Token {KEY}", "replicate": f"Token {KEY}", "assemblyai": f"Bearer {KEY}"}.get(provider, KEY)
    path = f"/passthrough/{provider}/v1/speak?model=x"
    got = await gateway.call(path, b'{"text":"hi"}', key=None, headers={sent: written, "cartesia-version": "2025-04-16"})
    assert (got.status, got.body) == (200, b"sound")
    seen = lab.seen[0]
    assert (seen.path, seen.headers[header]) == ("/v1/speak?model=x", value)
    assert seen.headers["cartesia-version"] == "2025-04-16"
    assert KEY not in str(seen.headers)
    assert (await gateway.line()).provider == provider


async def test_such_a_vendor_has_no_chat(gateway: RunningGateway) -> None:
    await gateway.upstream("deepgram")
    got = await gateway.call("/v1/chat/completions", {"model": "deepgram/nova", "messages": [{"role": "user", "content": "x"}]})
    assert got.status == 400 and "has no chat endpoint" in got.json["error"]["message"]
