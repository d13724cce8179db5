from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from freehold.control.invites import link


def test_an_invitations_link_opens_a_page_that_the_policy_lets_work(api: TestClient) -> None:
    """Nothing inline and nothing from elsewhere: the content security policy forbids both."""
    root = str(api.base_url).removesuffix("/api/v1/").removesuffix("/api/v1")
    path, _, secret = link(root, "fhi_secret").removeprefix(root).partition("#")
    assert secret == "fhi_secret", "behind the #: it is never sent with a request"
    page = api.get(f"{root}{path}", headers={"authorization": ""})
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?://", page.text)
    parts = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert len(parts) == 2
    for part in parts:
        got = api.get(f"{root}{part}", headers={"authorization": ""})
        assert got.status_code == 200 and got.text, part
        assert got.headers["content-type"].partition(";")[0] == {"js": "text/javascript", "css": "text/css"}[part[-3:].strip(".")]


@pytest.mark.parametrize("field", ["name", "email", "password", "code"])
def test_the_page_sends_what_joining_takes(api: TestClient, field: str) -> None:
    root = str(api.base_url).removesuffix("/api/v1/").removesuffix("/api/v1")
    document = api.get("/openapi.json").json()
    assert f'name="{field}"' in api.get(f"{root}/join").text
    assert field in document["components"]["schemas"]["Accept"]["properties"]
