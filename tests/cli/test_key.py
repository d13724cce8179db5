"""`freehold key ...` over the database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from freehold.base.secret import key_digest
from freehold.store.feed import FeedReader, KeyLine
from tests.cli.test_commands import run


def done(folder: Path, *arguments: str) -> Any:
    made = run(folder, *arguments, "--json")
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)


def lines(folder: Path) -> dict[str, KeyLine]:
    """What a gateway would start from."""
    part = FeedReader(folder / "data").read()
    assert part is not None
    return {line.id: line for line in part.lines if isinstance(line, KeyLine)}


def test_a_key_has_what_it_is_given_and_gateways_find_it(tmp_path: Path) -> None:
    app = done(tmp_path, "app", "create", "--name", "bot")
    flags = ("--app", "bot", "--address", "10.0.0.0/8", "--model", "fast", "--expires", "2d")
    made = done(tmp_path, "key", "create", "--name", "k", *flags)
    assert made["app_id"] == app["id"] and made["addresses"] == ["10.0.0.0/8"] and made["models"] == ["fast"]
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=1, hours=23) < left <= timedelta(days=2)
    line = lines(tmp_path)[made["id"]]
    assert line.digest == key_digest(made["key"].encode()) and line.app == app["id"]


def test_a_rotated_key_has_a_new_secret_and_the_old_one_for_a_while(tmp_path: Path) -> None:
    made = done(tmp_path, "key", "create", "--name", "k")
    again = done(tmp_path, "key", "rotate", "k", "--grace", "1h")
    assert again["id"] == made["id"] and again["key"] != made["key"]
    line = lines(tmp_path)[made["id"]]
    assert (line.digest, line.old_digest) == (key_digest(again["key"].encode()), key_digest(made["key"].encode()))


def test_a_name_is_taken_while_its_key_is_in_use(tmp_path: Path) -> None:
    first = done(tmp_path, "key", "create", "--name", "k")
    second = run(tmp_path, "key", "create", "--name", "k")
    assert second.returncode == 1 and "a key named 'k' exists" in second.stderr
    done(tmp_path, "key", "disable", "k")
    second = done(tmp_path, "key", "create", "--name", "k")
    assert done(tmp_path, "key", "disable", "k")["id"] == second["id"] != first["id"]
    assert {line.off for line in lines(tmp_path).values()} == {"key"}
    assert done(tmp_path, "key", "list", "--in-use") == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "--name", "x", "--expires", "soon"), "'soon' is neither a span"),
        (("create", "--name", "x", "--address", "nowhere"), "addresses.0"),
        (("create", "--name", "x", "--app", "none"), "no app 'none'"),
        (("rotate", "k", "--grace", "1y"), "no span of time"),
        (("rotate", "k", "--grace", "40d"), "grace_s"),
        (("rotate", "nobody"), "no key 'nobody'"),
        (("create", "--name", "x", "--workspace", "nowhere"), "no workspace 'nowhere'"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done(tmp_path, "key", "create", "--name", "k")
    failed = run(tmp_path, "key", *arguments)
    assert failed.returncode == 1 and says in failed.stderr and "Traceback" not in failed.stderr
