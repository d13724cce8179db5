"""A real identity provider of OpenID Connect in a process of its own, and what a person does at it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests


class Idp:
    def __init__(self, issuer: str) -> None:
        self.issuer = issuer

    def knows(self, subject: str, **claims: Any) -> None:
        """From now on it says this of somebody."""
        requests.put(f"{self.issuer}/users/{subject}", json=claims, timeout=30).raise_for_status()

    def lets_in(self, url: str, subject: str, action: str = "") -> str:
        """Somebody signs in there, having been sent to `url`. Returns where their browser is sent."""
        answer = requests.post(url, data={"sub": subject, "action": action}, allow_redirects=False, timeout=30)
        assert answer.status_code in (302, 303), answer.text[:500]
        return answer.headers["location"]


@contextmanager
def idp(folder: Path) -> Iterator[Idp]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    with (folder / "idp.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
    try:
        issuer = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                requests.get(f"{issuer}/.well-known/openid-configuration", timeout=5).raise_for_status()
                break
            except requests.RequestException:
                assert process.poll() is None, (folder / "idp.log").read_text()
                time.sleep(0.1)
        yield Idp(issuer)
    finally:
        process.terminate()
        process.wait(30)
