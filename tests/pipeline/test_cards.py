from __future__ import annotations

from typing import Any

from msgspec import json

from freehold.config.schema import Config, PriceConfig, ProviderConfig, RouteConfig, TargetConfig
from freehold.pipeline.cards import FRESH_S, all_cards, card
from freehold.pipeline.objects import compile_snapshot
from freehold.pipeline.runtime import Space
from freehold.upstream.catalogue import PROVIDERS
from freehold.wire.registry import SPOKEN

NOW_S = 1_795_000_000.0


def snapshot(**routes: list[tuple[str, str]]) -> Space:
    listed = {
        name: RouteConfig(targets=[TargetConfig(provider=provider, model=model) for provider, model in targets])
        for name, targets in routes.items()
    }
    lab = ProviderConfig(dialect="openai_chat", base_url="http://h/v1", models=["m", "n"], price=PriceConfig(input=1, output=2))
    bare = ProviderConfig(dialect="openai_chat", base_url="http://h/v1", models=["x"])
    providers = {"openai": ProviderConfig(api_key="k", models=["my-own"]), "lab": lab, "bare": bare}
    return compile_snapshot(Config(providers=providers, routes=listed), PROVIDERS).space


def shown(of: Space) -> dict[str, Any]:
    return {name: json.decode(raw) for name, raw in all_cards(of, NOW_S).items()}


def test_a_known_model_has_its_context_window_and_prices() -> None:
    got = shown(snapshot())["openai/gpt-4o-mini"]
    assert got == {
        "id": "openai/gpt-4o-mini",
        "object": "model",
        "created": 0,
        "owned_by": "openai",
        "context_window": 128_000,
        "pricing": got["pricing"],
    }
    assert (
        got["pricing"].items() >= {"prompt": "0.00000015", "completion": "0.0000006", "input_cache_read": "0.000000075"}.items()
    )


def test_what_is_not_known_is_left_out_and_prices_of_the_file_are_shown() -> None:
    got = shown(snapshot())
    assert got["bare/x"] == {"id": "bare/x", "object": "model", "created": 0, "owned_by": "bare"}
    assert got["lab/m"]["pricing"] == {"prompt": "0.000001", "completion": "0.000002"}
    assert "context_window" not in got["openai/my-own"]


def test_a_route_promises_the_smallest_context_window_of_its_targets_if_all_are_known() -> None:
    got = shown(snapshot(one=[("openai", "gpt-5"), ("openai", "gpt-4o-mini")], other=[("openai", "gpt-5"), ("lab", "m")]))
    assert got["one"]["context_window"] == 128_000 and got["one"]["targets"] == ["openai/gpt-5", "openai/gpt-4o-mini"]
    assert "context_window" not in got["other"] and got["other"]["pricing"]["prompt"] == "0.00000125"


def test_the_list_holds_every_name_in_order_and_one_card_is_the_lists() -> None:
    of = snapshot(fast=[("lab", "m")])
    cards = all_cards(of, NOW_S)
    assert list(cards) == of.model_names()
    for name in ("fast", "openai/gpt-5", "lab/n"):
        assert json.encode(card(of, of.route(name), NOW_S)) == bytes(cards[name])


def test_cards_are_made_anew_after_a_while_since_prices_change() -> None:
    of = snapshot()
    first = all_cards(of, NOW_S)
    assert all_cards(of, NOW_S + FRESH_S) is first
    assert all_cards(of, NOW_S + FRESH_S + 1) is not first


def test_over_two_thousand_models_are_known_where_every_provider_is_configured() -> None:
    usable = {n: r for n, r in PROVIDERS.items() if r.base_url and (r.dialect in SPOKEN or set(r.also) & set(SPOKEN))}
    given = {n: ProviderConfig(api_key="k", region="r", project="p", resource="r", account="a") for n in usable}
    of = compile_snapshot(Config(providers=given), PROVIDERS).space
    assert len(all_cards(of, NOW_S)) > 2000
