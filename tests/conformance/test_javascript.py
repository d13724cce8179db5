"""The official JavaScript SDKs: a handful of recorded replies of each kind, directly and through the gateway.

Skips where node or npm is not here, or where the packages (js/package-lock.json) can't be installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conformance.gateway import KEY, PLAIN
from tests.conformance.native import model_of, native_of, native_scope, provider_of, streams
from tests.conformance.stage import Stage, in_scope, upstream_model
from tests.traffic import Recorded, needs_traffic

pytestmark = needs_traffic

FOLDER = Path(__file__).with_name("js")
RUN_S, INSTALL_S = 120, 180


class Sdk(NamedTuple):
    """`endpoints` are (whole, streamed), as in the recordings."""

    name: str
    endpoints: tuple[str, str]


SDKS = (
    Sdk("openai chat", ("chat/completions", "chat/completions")),
    Sdk("openai responses", ("responses", "responses")),
    Sdk("anthropic", ("messages", "messages")),
    Sdk("google", ("generateContent", "streamGenerateContent")),
    Sdk("ai openai chat", ("chat/completions", "chat/completions")),
    Sdk("ai openai responses", ("responses", "responses")),
    Sdk("ai anthropic", ("messages", "messages")),
    Sdk("ai google", ("generateContent", "streamGenerateContent")),
)
HOMES = ("openai", "anthropic", "gemini")  # the makers of these SDKs: others' replies are not theirs to parse


@pytest.fixture(scope="module")
def node() -> str:
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("node and npm are not here: install Node.js 20 or newer")
    lock, installed = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1"]
        try:
            subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_S, check=True)
        except subprocess.SubprocessError as error:
            pytest.skip(f"the JavaScript SDKs could not be installed: {error} {(error.stderr or '')[-300:]}")
    return found


def sample(sdk: Sdk) -> list[Recorded]:
    """Two of each kind: whole, streamed, with tools (whole and streamed), errors."""
    found: list[Recorded] = []
    for stream, endpoint in enumerate(sdk.endpoints):
        mine = [x for x in (*in_scope(), *native_scope()) if x.endpoint == endpoint and x.provider in HOMES]
        mine = [x for x in mine if _streamed(x) == bool(stream) and not x.url.endswith("/input_tokens")]
        kinds: tuple[Callable[[Recorded], bool], ...] = (
            lambda x: x.status == 200 and "tool" not in x.tags,
            lambda x: x.status == 200 and "tool" in x.tags,
            lambda x: x.status != 200 and b"API_KEY_INVALID" not in x.response,  # the gateway's key there, not the client's
        )
        found += [x for kind in kinds for x in list(filter(kind, mine))[:2]]
    return found


def _streamed(x: Recorded) -> bool:
    return streams(x) if native_of(x) is not None else x.stream


def job(sdk: Sdk, x: Recorded, base: str, key: str, through: bool) -> dict[str, Any]:
    if native_of(x) is not None:
        model = (f"{provider_of(x)}/" if through else "") + model_of(x)
    else:
        plain = PLAIN["anthropic" if x.endpoint == "messages" else "openai_chat"]
        model = (f"{plain}/" if through else "") + upstream_model(x)
    return {"sdk": sdk.name, "base": base, "key": key, "model": model, "stream": _streamed(x)}


def test_each_sdk_sees_through_the_gateway_what_it_sees_directly(stage: Stage, node: str) -> None:
    todo = [(sdk, x) for sdk in SDKS for x in sample(sdk)]
    jobs = [job(sdk, x, stage.replay.url, "sk-upstream", False) for sdk, x in todo]
    jobs += [job(sdk, x, stage.gateway.url, KEY, True) for sdk, x in todo]
    done = subprocess.run(
        [node, "fetch.mjs"], input=json.dumps(jobs), cwd=FOLDER, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    direct, through = seen[: len(todo)], seen[len(todo) :]
    wrong = [
        f"{sdk.name} {x.id}: {str(one)[:500]} became {str(other)[:500]}"
        for (sdk, x), one, other in zip(todo, direct, through, strict=True)
        if one != other
    ]
    assert wrong == []
    for sdk in SDKS:
        mine = [one for (of, _), one in zip(todo, direct, strict=True) if of == sdk]
        assert sum(bool(one["items"]) for one in mine) >= 6, f"{sdk.name} parsed next to nothing: {mine}"
        assert any(one["error"] for one in mine), f"{sdk.name} saw no error"
