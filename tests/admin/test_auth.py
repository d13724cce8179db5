"""Coming in as a browser does, and as somebody does who should not get in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import json
from sqlalchemy import select, update

from freehold.control.actor import command
from freehold.control.invites import Invites, NewInvite
from freehold.control.members import EditMember, Members
from freehold.control.plane import Plane
from freehold.control.tokens import NewToken, Tokens
from freehold.store.engine import reading, writing
from freehold.store.tenants import audit, sessions, tokens, users
from tests.admin.browsers import ORIGIN, at_home, browser, sign_in
from tests.admin.conftest import service, workspace
from tests.control.people import ADA, BOB, PASSWORD, acting, member_of, person


def test_a_browser_signs_in_works_and_signs_out(plane: Plane) -> None:
    person(plane)
    client, headers = at_home(plane)
    me = client.get("/me").json()
    assert me["kind"] == "user" and me["name"] == ADA and me["workspaces"][0]["role"] == "owner"
    assert me["csrf_token"] == headers["x-csrf-token"]
    assert client.post("/teams", json={"name": "a"}, headers=headers).status_code == 201
    assert client.post("/auth/sign-out", headers=headers).json() == {"logout_url": None}
    assert client.get("/me").status_code == 401
    with reading(plane.engine) as connection:
        row = connection.execute(select(audit).where(audit.c.kind == "team")).mappings().one()
        assert (row["actor_kind"], row["actor"]) == ("user", ADA) and not connection.execute(select(sessions)).all()


@pytest.mark.parametrize("base", ["http://test", "https://test"])
def test_the_cookie_is_for_our_own_pages_alone(plane: Plane, base: str) -> None:
    person(plane)
    answer = sign_in(browser(plane, base))
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie and "domain" not in cookie
    if base.startswith("https"):
        assert cookie.startswith("__host-freehold=") and "secure" in cookie
    else:
        assert cookie.startswith("freehold_session=") and "secure" not in cookie
    assert answer.json()["csrf_token"] not in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": ORIGIN},
        {"x-csrf-token": "right"},
        {"origin": "http://evil.test", "x-csrf-token": "right"},
        {"origin": "null", "x-csrf-token": "right"},
        {"origin": "", "x-csrf-token": "right"},
        {"origin": "https://test", "x-csrf-token": "right"},
        {"origin": "http://test.evil.test", "x-csrf-token": "right"},
        {"origin": ORIGIN, "x-csrf-token": "wrong"},
        {"origin": ORIGIN, "x-csrf-token": ""},
        {"referer": ORIGIN, "x-csrf-token": "right"},
    ],
    ids=str,
)
def test_what_another_site_makes_a_browser_send_changes_nothing(plane: Plane, headers: dict[str, str]) -> None:
    person(plane)
    client, good = at_home(plane)
    sent = {name: good["x-csrf-token"] if value == "right" else value for name, value in headers.items()}
    for method, path in (("POST", "/teams"), ("POST", "/auth/sign-out"), ("PATCH", "/teams/x"), ("DELETE", "/teams/x")):
        answer = client.request(method, path, json={"name": "a"} if method != "DELETE" else None, headers=sent)
        assert answer.status_code == 403, (method, path, answer.text)
    assert client.get("/teams").json()["data"] == []
    assert client.get("/me").status_code == 200, "reading takes no token"


def test_another_sessions_token_does_not_fit(plane: Plane) -> None:
    person(plane)
    client, _ = at_home(plane)
    _, others = at_home(plane)
    assert client.post("/teams", json={"name": "a"}, headers=others).status_code == 403


def test_nobody_is_signed_in_by_another_site(plane: Plane) -> None:
    person(plane)
    client = browser(plane)
    body = {"email": ADA, "password": PASSWORD}
    assert client.post("/auth/sign-in", json=body, headers={"origin": "http://evil.test"}).status_code == 403
    form = json.encode(body)
    assert client.post("/auth/sign-in", content=form, headers={"content-type": "text/plain"}).status_code == 422
    assert client.post("/auth/sign-in", json=body, headers={"origin": ORIGIN}).status_code == 200


def test_a_planted_session_is_not_taken_over(plane: Plane) -> None:
    person(plane)
    person(plane, BOB, "viewer")
    attacker, _ = at_home(plane, BOB)
    planted = attacker.cookies["freehold_session"]
    victim = browser(plane)
    answer = victim.post(
        "/auth/sign-in", json={"email": ADA, "password": PASSWORD}, headers={"cookie": f"freehold_session={planted}"}
    )
    assert answer.status_code == 200 and planted not in answer.headers["set-cookie"]
    assert attacker.get("/me").json()["name"] == BOB


def test_a_token_and_a_cookie_are_never_confused(plane: Plane) -> None:
    person(plane)
    client, headers = at_home(plane)
    viewer = service(plane, "viewer")
    bearer = {"authorization": f"Bearer {viewer}"}
    assert client.get("/me", headers=bearer).json()["kind"] == "token"
    assert client.post("/teams", json={"name": "a"}, headers={**bearer, **headers}).status_code == 403
    assert client.get("/me", headers={"authorization": "Bearer fht_wrong"}).status_code == 401, "no falling back"
    assert client.post("/auth/sign-out", headers={**bearer, **headers}).status_code == 403
    cookie = client.cookies["freehold_session"]
    assert browser(plane).get("/me", headers={"authorization": f"Bearer {cookie}"}).status_code == 401
    other = browser(plane)
    other.cookies.set("freehold_session", viewer)
    assert other.get("/me").status_code == 401


def test_over_https_only_the_cookie_that_no_other_host_can_set_counts(plane: Plane) -> None:
    person(plane)
    client, _ = at_home(plane)
    other = browser(plane, "https://test")
    other.cookies.set("freehold_session", client.cookies["freehold_session"])
    assert other.get("/me").status_code == 401


def test_unknown_accounts_are_answered_as_known_ones(plane: Plane) -> None:
    person(plane)
    client = browser(plane)
    known, unknown = (sign_in(client, email, "a wrong password") for email in (ADA, "nobody@example.com"))
    assert known.status_code == unknown.status_code == 401 and known.json() == unknown.json()
    assert {*known.headers} == {*unknown.headers}
    for email in (ADA, "nobody@example.com"):
        answers = [sign_in(client, email, "a wrong password").status_code for _ in range(6)]
        assert answers[:4] == [401] * 4 and answers[-1] == 429
    limited = sign_in(client)
    assert limited.status_code == 429 and int(limited.headers["retry-after"]) >= 1


def test_the_address_is_what_trusted_proxies_say_and_nobody_else(plane: Plane, tmp_path: Path) -> None:
    person(plane)
    client = browser(plane)
    sign_in(client)
    (tmp_path / "freehold.yaml").write_text("server: {trusted_proxies: [10.0.0.0/8]}")
    forged = {"x-forwarded-for": "203.0.113.9"}
    client.post("/auth/sign-in", json={"email": ADA, "password": PASSWORD}, headers=forged)
    with reading(plane.engine) as connection:
        assert set(connection.scalars(select(sessions.c.address))) == {"testclient"}


def test_a_person_in_several_workspaces_says_which(plane: Plane) -> None:
    workspace(plane, "lab")
    workspace(plane, "theirs")
    person(plane)
    person(plane, ADA, "viewer", "lab")
    client, headers = at_home(plane)
    refused = client.get("/teams")
    assert refused.status_code == 422 and refused.json()["field"] == "x-freehold-workspace"
    assert "default, lab" in refused.json()["detail"] and "theirs" not in refused.text
    assert client.get("/teams", headers={"x-freehold-workspace": "lab"}).status_code == 200
    here = {**headers, "x-freehold-workspace": "lab"}
    assert client.post("/teams", json={"name": "a"}, headers=here).status_code == 403, "a viewer there"
    here["x-freehold-workspace"] = "default"
    assert client.post("/teams", json={"name": "a"}, headers=here).status_code == 201
    for other in ("theirs", "nowhere", "DEFAULT", "x" * 100):
        assert client.get("/teams", headers={"x-freehold-workspace": other}).status_code == 404
    assert [one["id"] for one in client.get("/workspaces").json()["data"]] == ["default", "lab"]
    assert len(client.get("/me").json()["workspaces"]) == 2


def test_what_a_person_lost_is_lost_at_once(plane: Plane) -> None:
    person(plane)
    bob = person(plane, BOB, "admin")
    client, headers = at_home(plane, BOB)
    member_id = member_of(plane, bob)["id"]
    Members().change(plane, command(), member_id, EditMember(role="viewer"))
    assert client.post("/teams", json={"name": "a"}, headers=headers).status_code == 403
    token = Tokens().create(plane, acting(plane, bob), NewToken(name="t")).token
    Members().change(plane, command(), member_id, EditMember(disabled=True))
    assert client.get("/me").status_code == 401, "sessions end"
    answer = browser(plane).get("/me", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    again = browser(plane)
    assert sign_in(again, BOB).status_code == 200 and again.get("/me").json()["workspaces"] == []
    assert again.get("/teams").status_code == 403


def test_sessions_end_by_themselves(plane: Plane, tmp_path: Path) -> None:
    person(plane)
    (tmp_path / "freehold.yaml").write_text("sign_in: {idle_timeout: 600, session_lifetime: 3600}")
    client, _ = at_home(plane)
    now = time.time_ns() // 1_000_000
    with writing(plane.engine, "objects") as connection:
        assert connection.scalar(select(sessions.c.expires_ms)) <= now + 3_600_000  # type: ignore[operator]
        connection.execute(update(sessions).values(seen_ms=now - 599_000))
    assert client.get("/me").status_code == 200
    with reading(plane.engine) as connection:
        assert connection.scalar(select(sessions.c.seen_ms)) >= now, "its use was noted"  # type: ignore[operator]
    for values in ({"seen_ms": now - 601_000}, {"seen_ms": now, "expires_ms": now - 1}):
        with writing(plane.engine, "objects") as connection:
            connection.execute(update(sessions).values(values))
        assert client.get("/me").status_code == 401


def test_sessions_are_listed_and_ended_ones_own_and_by_operators_all(plane: Plane) -> None:
    person(plane, operator=True)
    person(plane, BOB, "owner")
    root, headers = at_home(plane)
    bob, bobs = at_home(plane, BOB)
    other, _ = at_home(plane, BOB)
    mine = bob.get("/auth/sessions").json()["data"]
    assert [one["current"] for one in mine] == [False, True] and {one["email"] for one in mine} == {BOB}
    assert bob.get("/auth/sessions", params={"everybody": True}).status_code == 403
    assert bob.get("/auth/sessions", params={"user_id": root.get("/me").json()["id"]}).status_code == 403
    roots = root.get("/auth/sessions").json()["data"][0]["id"]
    assert bob.delete(f"/auth/sessions/{roots}", headers=bobs).status_code == 404
    assert bob.delete(f"/auth/sessions/{mine[0]['id']}", headers=bobs).status_code == 204
    assert other.get("/me").status_code == 401 and bob.get("/me").status_code == 200
    everybody = root.get("/auth/sessions", params={"everybody": True}).json()["data"]
    assert {one["email"] for one in everybody} == {ADA, BOB}
    assert root.delete(f"/auth/sessions/{mine[1]['id']}", headers=headers).status_code == 204
    assert bob.get("/me").status_code == 401


def test_an_invitation_is_accepted_once(plane: Plane) -> None:
    person(plane)
    client, headers = at_home(plane)
    made = client.post("/invites", json={"name": "Bob", "email": BOB, "role": "viewer"}, headers=headers)
    assert made.status_code == 201 and made.json()["invite"].startswith("fhi_")
    shown = client.get(f"/invites/{made.json()['id']}")
    assert "invite" not in shown.json() and made.json()["invite"] not in client.get("/audit").text
    guest = browser(plane)
    body = {"invite": made.json()["invite"], "password": "seven green umbrellas"}
    assert guest.post("/auth/invites/accept", json=body, headers={"origin": "http://evil.test"}).status_code == 403
    assert guest.post("/auth/invites/accept", json=body).json()["state"] == "signed_in"
    assert guest.get("/me").json()["workspaces"][0]["role"] == "viewer"
    assert guest.post("/auth/invites/accept", json=body).status_code in (403, 404), "signed in now: our own pages only"
    assert browser(plane).post("/auth/invites/accept", json=body).status_code == 404


def test_somebody_who_is_signed_in_accepts_by_our_own_page_alone(plane: Plane) -> None:
    workspace(plane, "lab")
    person(plane)
    client, headers = at_home(plane)
    secret = Invites().create(plane, command("lab"), NewInvite(name="A", email=ADA)).invite
    assert client.post("/auth/invites/accept", json={"invite": secret}, headers={"origin": ORIGIN}).status_code == 403
    assert client.post("/auth/invites/accept", json={"invite": secret}, headers=headers).status_code == 200
    assert len(client.get("/me").json()["workspaces"]) == 2


def test_passwords_and_second_factors_over_http(plane: Plane) -> None:
    import pyotp

    person(plane)
    client, headers = at_home(plane)
    made = client.post("/auth/totp", json={"password": PASSWORD}, headers=headers).json()
    app = pyotp.TOTP(made["secret"])
    code = app.at(int(time.time()) - 30)
    codes = client.post("/auth/totp/confirm", json={"code": code}, headers=headers).json()["codes"]
    assert client.get("/me").json()["totp"] is True
    other = browser(plane)
    needed = sign_in(other)
    assert needed.json() == {"state": "code_needed", "csrf_token": None} and "set-cookie" not in needed.headers
    assert sign_in(other, code="000 000").status_code == 401
    assert sign_in(other, code=codes[0]).json()["state"] == "signed_in"
    body: dict[str, Any] = {"password": PASSWORD, "new_password": "seven green umbrellas"}
    assert client.post("/auth/password", json=body, headers=headers).status_code == 204
    assert other.get("/me").status_code == 401 and client.get("/me").status_code == 200
    body = {"password": "seven green umbrellas", "code": codes[1]}
    assert client.post("/auth/totp/remove", json=body, headers=headers).status_code == 204
    assert sign_in(browser(plane), password="seven green umbrellas").json()["state"] == "signed_in"


def test_ways_to_sign_in_are_said(plane: Plane) -> None:
    assert browser(plane).get("/auth/ways").json() == {"password": True, "providers": []}


def test_nothing_that_is_secret_is_in_the_audit_log(plane: Plane) -> None:
    person(plane)
    client, headers = at_home(plane)
    sign_in(client, ADA, "a wrong password")
    secret = client.post("/auth/totp", json={"password": PASSWORD}, headers=headers).json()["secret"]
    with reading(plane.engine) as connection:
        log = repr(connection.execute(select(audit)).all())
        kept = repr(connection.execute(select(users)).all())
    cookie = client.cookies["freehold_session"]
    for one in (PASSWORD, "a wrong password", secret, cookie, headers["x-csrf-token"], "$argon2id"):
        assert one not in log
    assert PASSWORD not in kept and secret not in kept


def test_the_use_of_a_token_is_noted_once_a_minute(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.control import tokens as module

    written: list[str] = []
    real = module.seen
    monkeypatch.setattr(module, "seen", lambda c, actor, now: (written.append(actor.id), real(c, actor, now)))
    client = browser(plane)
    client.headers["authorization"] = f"Bearer {service(plane, 'owner')}"
    for _ in range(5):
        assert client.get("/teams").status_code == 200
    assert len(written) == 1
    with reading(plane.engine) as connection:
        assert (connection.scalar(select(tokens.c.used_ms)) or 0) > 0
