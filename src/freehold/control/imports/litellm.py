"""LiteLLM's config.yaml: model_list, its fallbacks, master key. Field names as its documentation has them (2026-11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from freehold.config.address import gaps
from freehold.config.rules import Catalogue
from freehold.control.imports.result import Imported, variable

# Its provider prefixes where they differ from our names.
_PROVIDERS = {
    "azure": "azure-deployments",
    "azure_ai": "azure-ai",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "hosted_vllm": "vllm",
    "jina_ai": "jina",
    "lm_studio": "lmstudio",
    "nvidia_nim": "nvidia",
    "ollama_chat": "ollama",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "vertex",
    "vertex_ai_beta": "vertex",
    "vercel_ai_gateway": "vercel",
}
_OPENAI_LIKE = frozenset(("openai", "custom_openai", "openai_like"))
# litellm_params -> field of a provider.
_FIELDS = {"aws_region_name": "region", "vertex_project": "project", "vertex_location": "region", "region_name": "region"}
_PRICES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
}
_TARGET = frozenset(
    ("model", "weight", "api_key", "api_base", "base_url", "api_version", "timeout", "max_retries", *_FIELDS, *_PRICES)
)
_STRATEGIES = {
    "simple-shuffle": "weighted",
    "least-busy": "least_busy",
    "latency-based-routing": "fastest",
    "cost-based-routing": "cheapest",
}
_ELSEWHERE = {
    "rpm": "limits of a target are set on keys and routes here",
    "tpm": "limits of a target are set on keys and routes here",
    "general_settings.database_url": "set FREEHOLD_DATABASE_URL",
    "general_settings.alerting": "alerts are configured anew",
    "litellm_settings.callbacks": "the record of calls takes the place of logging callbacks",
    "litellm_settings.success_callback": "the record of calls takes the place of logging callbacks",
    "litellm_settings.failure_callback": "the record of calls takes the place of logging callbacks",
    "litellm_settings.drop_params": "always so: what a target can't take is named in x-freehold-dropped",
    "environment_variables": "put them into the environment",
}


def convert(document: Any, catalogue: Catalogue) -> Imported:
    """Raises ValueError where it is no such file at all."""
    if not isinstance(document, Mapping) or not any(
        name in document for name in ("model_list", "general_settings", "litellm_settings")
    ):
        raise ValueError("this is no LiteLLM configuration: it has no model_list, general_settings or litellm_settings")
    out = Imported()
    for at, entry in enumerate(_list(document.get("model_list"))):
        _model(out, f"model_list[{at}]", entry, catalogue)
    settings = {name: _mapping(document.get(name)) for name in ("router_settings", "litellm_settings", "general_settings")}
    for name in ("router_settings", "litellm_settings"):
        for fallback in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
            _fallbacks(out, f"{name}.{fallback}", settings[name].pop(fallback, None))
    _retries(out, settings)
    _master_key(out, settings["general_settings"])
    for name, fields in settings.items():
        for field in fields:
            out.leave(f"{name}.{field}", _ELSEWHERE.get(f"{name}.{field}", "it has no counterpart"))
    for name in document:
        if name not in ("model_list", *settings):
            out.leave(str(name), _ELSEWHERE.get(str(name), "it has no counterpart"))
    return out


def _model(out: Imported, path: str, entry: Any, catalogue: Catalogue) -> None:
    entry = _mapping(entry)
    params, info = _mapping(entry.get("litellm_params")), _mapping(entry.get("model_info"))
    name, model = str(entry.get("model_name") or ""), str(params.get("model") or "")
    if not name or not model:
        out.leave(path, "it has no model_name or no litellm_params.model")
        return
    if "*" in name:
        out.leave(f"{path}.model_name", f"a pattern ({name!r}): clients ask for provider/model instead")
        return
    prefix, slash, rest = model.partition("/")
    vendor = _PROVIDERS.get(prefix, prefix) if slash else str(params.get("custom_llm_provider") or "openai")
    upstream = rest if slash else model
    provider = _provider(out, path, vendor, params, catalogue)
    if provider is None:
        return
    target: dict[str, Any] = {"provider": provider, "model": upstream}
    if params.get("weight") is not None:
        target["weight"] = params["weight"]
    prices = {ours: source[theirs] for theirs, ours in _PRICES.items() for source in (info, params) if theirs in source}
    if "input" in prices and "output" in prices:
        target["price"] = {unit: _per_million(price) for unit, price in prices.items()}
    route = out.routes.setdefault(name, {"targets": []})
    route["targets"].append(target)
    if len(route["targets"]) > 1:
        route["strategy"] = "weighted"  # what it does with several deployments of one name
    for field in params:
        if field not in _TARGET and field != "custom_llm_provider":
            out.leave(f"{path}.litellm_params.{field}", _ELSEWHERE.get(str(field), "it has no counterpart"))


def _provider(out: Imported, path: str, vendor: str, params: Mapping[str, Any], catalogue: Catalogue) -> str | None:
    row = catalogue.get(vendor)
    base = params.get("api_base") or params.get("base_url")
    config: dict[str, Any] = {ours: variable(str(params[theirs])) for theirs, ours in _FIELDS.items() if theirs in params}
    if params.get("api_key") is not None:
        config["api_key"] = variable(str(params["api_key"]))
    if row is None and vendor not in _OPENAI_LIKE and base is None:
        out.leave(f"{path}.litellm_params.model", f"provider {vendor!r} is not known here: give it a base_url and a dialect")
        return None
    name = vendor
    if base is not None and vendor.startswith("azure"):
        # Its base is the resource's own host.
        config["resource"] = variable(str(base)).removeprefix("https://").partition(".")[0]
    elif base is not None:
        config["base_url"] = variable(str(base))
        if row is None or vendor in _OPENAI_LIKE:
            config["dialect"] = "openai_chat"
            name = _host(config["base_url"]) or vendor
    if params.get("api_version") is not None:
        config["query"] = {"api-version": variable(str(params["api_version"]))}
    if isinstance(params.get("timeout"), int | float):
        config["timeouts"] = {"first_byte": params["timeout"]}
    if row is not None and "base_url" not in config:
        lacking = [gap for gap in gaps(row.base_url) if gap != "model" and gap not in config and gap not in row.defaults]
        for gap in lacking:
            out.leave(path, f"provider {vendor!r} needs {gap!r}, which is not in the file: add it to providers.{vendor}")
    return out.provider(name, config, row if name == vendor else None)


def _fallbacks(out: Imported, path: str, given: Any) -> None:
    """[{"a": ["b", "c"]}]: the targets of b and c after those of a."""
    for at, entry in enumerate(_list(given)):
        for name, others in _mapping(entry).items():
            known = [other for other in _list(others) if other in out.routes]
            if name not in out.routes or not known:
                out.leave(f"{path}[{at}]", f"{name!r} or what it falls back to is no model of this file")
                continue
            route = out.routes[name]
            route["fallbacks"] = list(dict.fromkeys([*route.get("fallbacks", []), *known]))


def _retries(out: Imported, settings: dict[str, dict[str, Any]]) -> None:
    for name in ("router_settings", "litellm_settings"):
        retries = settings[name].pop("num_retries", None)
        if isinstance(retries, int):
            for route in out.routes.values():
                route.setdefault("retries", min(max(retries, 0), 5))
    strategy = settings["router_settings"].pop("routing_strategy", None)
    ours = _STRATEGIES.get(str(strategy))
    if ours is not None:
        for route in out.routes.values():
            if len(route["targets"]) > 1:
                route["strategy"] = ours
    elif strategy is not None:
        out.leave("router_settings.routing_strategy", f"{strategy!r} has no counterpart")


def _master_key(out: Imported, general: dict[str, Any]) -> None:
    key = general.pop("master_key", None)
    if isinstance(key, str):
        written = variable(key)
        if written.startswith("${"):
            out.keys.append({"name": "master", "key": written, "models": ["*"]})
        else:
            out.leave("general_settings.master_key", "a secret in the file: make a key with `freehold key create`")


def _per_million(price: Any) -> float:
    return round(float(price) * 1_000_000, 9)


def _host(url: str) -> str:
    host = url.partition("://")[2].partition("/")[0].partition(":")[0]
    return "" if "$" in host else host.replace(".", "-")


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
