"""`freehold user ...` and `freehold workspace ...`, and the link of a first start."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.running import SRC, eventually, started


def run(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "freehold", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(SRC)},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_first_owner_is_made_by_command(tmp_path: Path) -> None:
    link = run(tmp_path, "user", "setup-link", "--url", "https://freehold.example.com/")
    assert re.fullmatch(r"https://freehold\.example\.com/join#fhi_[\w-]{43}\n", link.stdout), link.stderr
    weak = run(tmp_path, "user", "create", "--email", "ada@example.com", "--owner", "--password-stdin", stdin="password1234\n")
    assert weak.returncode == 1 and "guessed" in weak.stderr and "password1234" not in weak.stderr
    none = run(tmp_path, "user", "create", "--email", "ada@example.com", "--owner")
    assert none.returncode == 1 and "--password-stdin" in none.stderr
    made = run(
        tmp_path,
        "user",
        "create",
        "--email",
        "Ada@example.com",
        "--owner",
        "--password-stdin",
        "--json",
        stdin="plum orbit lantern\n",
    )
    assert json.loads(made.stdout)["email"] == "ada@example.com", made.stderr
    [user] = json.loads(run(tmp_path, "user", "list", "--json").stdout)
    assert user["operator"] and user["workspaces"] == ["default"] and "lantern" not in json.dumps(user)
    assert "operator" in run(tmp_path, "user", "list").stdout
    again = run(tmp_path, "user", "setup-link")
    assert again.returncode == 1 and "there are users already" in again.stderr
    assert (
        "new password"
        in run(tmp_path, "user", "password", "ada@example.com", "--password-stdin", stdin="seven green umbrellas").stdout
    )
    last = run(tmp_path, "user", "disable", "ada@example.com")
    assert last.returncode == 1 and "last operator" in last.stderr
    assert "second factor" in run(tmp_path, "user", "reset-totp", "ada@example.com").stdout
    assert run(tmp_path, "user", "enable", "eve@example.com").returncode == 1
    assert run(tmp_path, "user", "enable", "nonsense").returncode == 1
    invite = json.loads(run(tmp_path, "invite", "create", "--name", "Bob", "--email", "bob@example.com", "--json").stdout)
    assert invite["invite"].startswith("fhi_") and invite["role"] == "member"
    listed = json.loads(run(tmp_path, "member", "list", "--json").stdout)
    assert [one["email"] for one in listed] == ["ada@example.com"]


def test_workspaces_by_command(tmp_path: Path) -> None:
    made = run(tmp_path, "workspace", "create", "--id", "lab", "--name", "Lab", "--owner", "bob@example.com", "--json")
    assert json.loads(made.stdout)["invite"].startswith("fhi_"), made.stderr
    bad = run(tmp_path, "workspace", "create", "--id", "Lab!", "--name", "Lab", "--owner", "nobody")
    assert bad.returncode == 1 and "id" in bad.stderr and "owner.email" in bad.stderr
    assert "Research" in run(tmp_path, "workspace", "update", "lab", "--name", "Research").stdout
    assert "disabled  yes" in re.sub(" +", "  ", run(tmp_path, "workspace", "disable", "lab").stdout)
    assert "Research" in run(tmp_path, "workspace", "enable", "lab").stdout
    kept = run(tmp_path, "workspace", "delete", "lab", stdin="n\n")
    assert kept.returncode == 1 and "nothing was deleted" in kept.stderr
    assert run(tmp_path, "workspace", "delete", "lab", "--yes").returncode == 0
    assert [one["id"] for one in json.loads(run(tmp_path, "workspace", "list", "--json").stdout)] == ["default"]
    assert run(tmp_path, "workspace", "show", "lab").returncode == 1
    assert run(tmp_path, "workspace", "delete", "default", "--yes").returncode == 1


def post(url: str, body: Any) -> Any:
    sent = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(sent, timeout=60) as reply:
        return json.loads(reply.read())


def test_a_first_start_shows_a_link_and_later_ones_do_not(tmp_path: Path) -> None:
    with started(tmp_path, "--admin-port", "0") as up:
        assert eventually(lambda: "/join#" in up.log.read_text()), up.log.read_text()
        base, secret = re.findall(r"(http://127\.0\.0\.1:\d+)/join#(\S+)", up.log.read_text())[0]
        body = {"invite": secret, "email": "ada@example.com", "name": "Ada", "password": "plum orbit lantern"}
        assert post(f"{base}/api/v1/auth/invites/accept", body)["state"] == "signed_in"
        again = {"email": "ada@example.com", "password": "plum orbit lantern"}
        assert post(f"{base}/api/v1/auth/sign-in", again)["state"] == "signed_in"
        assert up.stop() == 0
    with started(tmp_path, "--admin-port", "0") as up:
        base = re.findall(r"Admin API at (\S+)/api/v1", up.text)[0]
        assert eventually(lambda: _answers(base))
        assert "/join#" not in up.log.read_text()


def _answers(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/readyz", timeout=10) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
