from __future__ import annotations

from typing import Any, ClassVar

import pytest

from freehold.admin import browser


@pytest.mark.parametrize("path", ["/", "/keys", "/keys?x=1&y=/z", "/a/b#c", "/%2f%2fevil.test"])
def test_a_path_of_ours_is_kept(path: str) -> None:
    assert browser.local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "keys", "//evil.test", "///evil.test", "/\\evil.test", "\\/evil.test", "https://evil.test", "javascript:alert(1)"),
        *("/a\r\nset-cookie: a=b", "/a b", "/é", "/a\tb", "/\x00", '/"><script>', "/" + "x" * 600, " /", "/\u2028"),
    ],
)
def test_everything_else_leads_home(path: str) -> None:
    assert browser.local_path(path) == "/"


def test_an_origin_is_the_configured_one_or_what_was_asked() -> None:
    class Url:
        scheme = "http"

    class Request:
        headers: ClassVar[dict[str, str]] = {"host": "Freehold.test:8081"}
        url = Url()

        def __init__(self, url: str | None) -> None:
            config = type("Config", (), {"sign_in": type("SignIn", (), {"url": url})})
            self.app = type("App", (), {})()
            self.app.state = type("State", (), {})()
            self.app.state.plane = type("Plane", (), {"owned": type("Owned", (), {"config": staticmethod(lambda: config)})})

    asked: Any = Request(None)
    assert browser.origin(asked) == "http://freehold.test:8081" and not browser.is_secure(asked)
    asked = Request("https://freehold.example.com/")
    assert browser.origin(asked) == "https://freehold.example.com" and browser.is_secure(asked)
