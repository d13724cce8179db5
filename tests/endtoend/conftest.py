"""The pipeline tests' gateway in this process, and an upstream for it that speaks any dialect."""

from __future__ import annotations

from freehold.config.schema import PriceConfig, ProviderConfig
from tests.pipeline.conftest import RunningGateway, gateway
from tests.pipeline.upstream import ScriptedUpstream

__all__ = ["add_upstream", "gateway"]

# What stands between an upstream's host and the paths of its dialect.
BASES = {"openai_chat": "/v1", "openai_responses": "/v1", "openai_completions": "/v1", "gemini": "/v1beta"}


async def add_upstream(gateway: RunningGateway, dialect: str, name: str = "up", model: str = "claude-x") -> ScriptedUpstream:
    """A provider `name` that speaks `dialect`; the route "m" leads to its model."""
    upstream = ScriptedUpstream()
    await upstream.start()
    gateway.upstreams[name] = upstream
    gateway.config.providers[name] = ProviderConfig(
        dialect=dialect,
        base_url=upstream.url + BASES.get(dialect, ""),
        api_key="sk-upstream-secret",
        price=PriceConfig(input=1.0, output=2.0),
    )
    gateway.reload()
    gateway.route("m", f"{name}/{model}")
    return upstream
