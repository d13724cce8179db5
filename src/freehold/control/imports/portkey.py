"""A Portkey gateway config: strategy, targets (nested ones too), retry, override_params. The whole config is one route.

Field names as its documentation has them (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from freehold.config.rules import Catalogue
from freehold.control.imports.result import Imported

ROUTE = "imported"
_PROVIDERS = {
    "azure-openai": "azure-deployments",
    "google": "gemini",
    "vertex-ai": "vertex",
    "together-ai": "together",
    "fireworks-ai": "fireworks",
    "mistral-ai": "mistral",
    "x-ai": "xai",
    "perplexity-ai": "perplexity",
    "workers-ai": "cloudflare",
    "dashscope": "dashscope",
}
_STRATEGIES = {"fallback": "priority", "loadbalance": "weighted", "single": "priority"}
_TARGET = frozenset(
    ("provider", "api_key", "virtual_key", "weight", "override_params", "custom_host", "name", "targets", "strategy")
)
_ELSEWHERE = {
    "cache": "caching is configured anew",
    "input_guardrails": "checks are configured anew",
    "output_guardrails": "checks are configured anew",
    "before_request_hooks": "checks are configured anew",
    "after_request_hooks": "checks are configured anew",
    "request_timeout": "set timeouts of the provider",
    "retry": "only `attempts` is carried over",
}


def convert(document: Any, catalogue: Catalogue, route: str = ROUTE) -> Imported:
    """Raises ValueError where it is no such config at all."""
    if not isinstance(document, Mapping) or not any(n in document for n in ("targets", "strategy", "provider", "virtual_key")):
        raise ValueError("this is no Portkey config: it has no targets, strategy, provider or virtual_key")
    out = Imported()
    top = dict(document)
    mode = _mode(top)
    if mode == "conditional":
        out.leave("strategy.conditions", "conditions are written anew, as `when` of each target")
    targets = [t for t in _leaves(out, "", top, mode, catalogue) if t]
    if not targets:
        out.leave("targets", "none of them can be used here")
        return out
    made: dict[str, Any] = {"targets": targets}
    if len(targets) > 1:
        made["strategy"] = _STRATEGIES.get(mode, "priority")
    retry = top.get("retry")
    if isinstance(retry, Mapping) and isinstance(retry.get("attempts"), int):
        made["retries"] = min(max(retry["attempts"], 0), 5)
        if len(retry) > 1:
            out.leave("retry", _ELSEWHERE["retry"])
    strategy = top.get("strategy")
    if isinstance(strategy, Mapping) and "on_status_codes" in strategy:
        out.leave("strategy.on_status_codes", "fallback happens on connect errors, timeouts, 429 and 5xx")
    for field in top:
        if field not in ("strategy", "targets", "retry", *_TARGET):
            out.leave(str(field), _ELSEWHERE.get(str(field), "it has no counterpart"))
    out.routes[route] = made
    return out


def _leaves(
    out: Imported, path: str, node: Mapping[str, Any], mode: str, catalogue: Catalogue
) -> Iterator[dict[str, Any] | None]:
    """The targets in their order; those of a target that has targets of its own in its place."""
    children = node.get("targets")
    if not isinstance(children, list):
        yield _target(out, path, node, catalogue)
        return
    for at, child in enumerate(children):
        where = f"{path}.targets[{at}]" if path else f"targets[{at}]"
        if not isinstance(child, Mapping):
            out.leave(where, "it is no object")
            continue
        inner = _mode(child)
        if "targets" in child and inner != mode:
            out.leave(f"{where}.strategy", f"{inner!r} within {mode!r}: its targets are listed as the outer one's")
        yield from _leaves(out, where, child, mode, catalogue)


def _target(out: Imported, path: str, node: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any] | None:
    override = node.get("override_params")
    model = str(override.get("model") or "") if isinstance(override, Mapping) else ""
    given = str(node.get("provider") or "")
    if model.startswith("@"):  # @provider/model, of its model catalogue
        given, _, model = model[1:].partition("/")
    given = given.removeprefix("@")
    here = f"{path}." if path else ""
    if not given:
        out.leave(f"{here}virtual_key", "a virtual key is known to Portkey alone: name its provider and give its api_key")
        return None
    name = _PROVIDERS.get(given, given)
    row, host = catalogue.get(name), node.get("custom_host")
    if row is None and host is None:
        out.leave(f"{here}provider", f"provider {given!r} is not known here: give it a base_url and a dialect")
        return None
    if not model:
        out.leave(f"{here}override_params.model", "the client's model is not handed on by a route: name one")
        return None
    config: dict[str, Any] = {}
    if host is not None:
        config["base_url"] = str(host)
        if row is None:
            config["dialect"] = "openai_chat"
    if node.get("api_key") is not None:
        out.leave(f"{here}api_key", f"a secret in the file: set it as providers.{name}.api_key by a variable")
    for field in override if isinstance(override, Mapping) else ():
        if field != "model":
            out.leave(f"{here}override_params.{field}", "parameters are the client's to send")
    for field in node if path else ():
        if field not in _TARGET:
            out.leave(f"{here}{field}", _ELSEWHERE.get(str(field), "it has no counterpart"))
    target: dict[str, Any] = {"provider": out.provider(name, config, row), "model": model}
    if node.get("weight") is not None:
        target["weight"] = node["weight"]
    return target


def _mode(node: Mapping[str, Any]) -> str:
    strategy = node.get("strategy")
    return str(strategy.get("mode") or "single") if isinstance(strategy, Mapping) else "single"
