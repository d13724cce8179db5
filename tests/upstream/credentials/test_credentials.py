from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from freehold.config.schema import CredentialConfig
from freehold.upstream.credentials import Credentials
from freehold.upstream.pool import Pool

KEYS = {"access_key_id": "AKIA1", "secret_access_key": "hush"}


def test_one_configured_alike_lives_on_and_any_change_makes_another() -> None:
    credentials = Credentials(Pool(), {})
    first = credentials.get("bedrock", CredentialConfig(type="aws", **KEYS), "eu-1")
    assert credentials.get("bedrock", CredentialConfig(type="aws", **KEYS), "eu-1") is first
    others = [
        credentials.get("other", CredentialConfig(type="aws", **KEYS), "eu-1"),
        credentials.get("bedrock", CredentialConfig(type="aws", **KEYS), "eu-2"),
        credentials.get("bedrock", CredentialConfig(type="aws", **KEYS | {"secret_access_key": "new"}), "eu-1"),
    ]
    assert len({id(c) for c in (first, *others)}) == 4


def test_one_that_no_snapshot_uses_is_dropped() -> None:
    credentials = Credentials(Pool(), {})
    gc.disable()
    try:
        for given in (CredentialConfig(type="aws", **KEYS), CredentialConfig(type="google"), CredentialConfig(type="azure")):
            held = credentials.get("p", given, "eu-1")
            ref = weakref.ref(held)
            del held
            assert ref() is None
    finally:
        gc.enable()


def test_aws_needs_a_region() -> None:
    with pytest.raises(ValueError, match=r"providers\.bedrock\.region"):
        Credentials(Pool(), {}).get("bedrock", CredentialConfig(type="aws", **KEYS), "")


async def test_warming_fetches_before_the_first_call() -> None:
    credentials = Credentials(Pool(), {})
    held = credentials.get("p", CredentialConfig(type="aws", **KEYS), "eu-1")
    credentials.warm()
    await asyncio.sleep(0.01)
    assert b"Credential=AKIA1/" in held.lines("POST", "h", "/", b"")


def test_secrets_do_not_show_in_reprs() -> None:
    given = CredentialConfig(type="azure", client_secret="hush", session_token="hush", secret_access_key="hush")
    assert "hush" not in repr(given) and "azure" in repr(given)
