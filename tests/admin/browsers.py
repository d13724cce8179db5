"""A browser for tests: signed in, with the headers that our own pages send."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from freehold.admin.app import make_app
from freehold.admin.who import who
from freehold.control.plane import Plane
from tests.control.people import ADA, PASSWORD

ORIGIN = "http://test"


def browser(plane: Plane, base: str = ORIGIN, app: Any = None) -> TestClient:
    return TestClient(app or make_app(plane, who), base_url=f"{base}/api/v1", follow_redirects=False)


def sign_in(client: TestClient, email: str = ADA, password: str = PASSWORD, **more: Any) -> Any:
    return client.post("/auth/sign-in", json={"email": email, "password": password, **more})


def own(token: str, origin: str = ORIGIN) -> dict[str, str]:
    return {"origin": origin, "x-csrf-token": token}


def at_home(plane: Plane, email: str = ADA) -> tuple[TestClient, dict[str, str]]:
    """A signed-in browser, and what it sends with all that changes something."""
    client = browser(plane)
    answer = sign_in(client, email)
    assert answer.status_code == 200, answer.text
    return client, own(answer.json()["csrf_token"])
