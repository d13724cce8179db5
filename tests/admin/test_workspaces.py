"""Workspaces and users over HTTP, as an operator and as others."""

from __future__ import annotations

from freehold.control.plane import Plane
from tests.admin.browsers import at_home, browser
from tests.admin.conftest import client, service, workspace
from tests.control.people import ADA, BOB, member_of, person


def test_an_operator_makes_changes_and_deletes_one(plane: Plane) -> None:
    person(plane, operator=True)
    root, headers = at_home(plane)
    body = {"name": "Lab", "id": "lab", "owner": {"email": BOB, "name": "Bob"}}
    made = root.post("/workspaces", json=body, headers={**headers, "idempotency-key": "once"})
    assert made.status_code == 201 and made.headers["location"] == "/api/v1/workspaces/lab", made.text
    again = root.post("/workspaces", json=body, headers={**headers, "idempotency-key": "once"})
    assert again.content == made.content and again.headers["idempotent-replayed"] == "true"
    assert root.post("/workspaces", json=body, headers=headers).status_code == 409
    guest = browser(plane)
    accepted = guest.post("/auth/invites/accept", json={"invite": made.json()["invite"], "password": "seven green umbrellas"})
    assert accepted.status_code == 200
    assert [one["id"] for one in guest.get("/workspaces").json()["data"]] == ["lab"]
    assert [one["id"] for one in root.get("/workspaces").json()["data"]] == ["default", "lab"]
    changed = root.patch("/workspaces/lab", json={"disabled": True}, headers={**headers, "if-match": made.headers["etag"]})
    assert changed.status_code == 200 and changed.json()["disabled"]
    assert guest.get("/teams").status_code == 403, "a member of no workspace that is open"
    late = root.patch("/workspaces/lab", json={"disabled": False}, headers={**headers, "if-match": made.headers["etag"]})
    assert late.status_code == 412
    # What is in it is not the operator's to see.
    assert root.get("/keys", headers={"x-freehold-workspace": "lab"}).status_code == 403
    assert root.delete("/workspaces/lab", headers=headers).status_code == 204
    assert root.get("/workspaces/lab").status_code == 404


def test_an_owner_has_their_own_alone(plane: Plane) -> None:
    workspace(plane, "lab")
    person(plane)
    home, headers = at_home(plane)
    assert home.get("/workspaces/default").json()["role"] == "owner"
    assert home.patch("/workspaces/default", json={"name": "Ours"}, headers=headers).json()["name"] == "Ours"
    for method in ("GET", "PATCH", "DELETE"):
        answer = home.request(method, "/workspaces/lab", json={} if method == "PATCH" else None, headers=headers)
        assert answer.status_code == 404
        # Nor by a header that says something else than the path.
        more = {**headers, "x-freehold-workspace": "default"}
        assert home.request(method, "/workspaces/lab", json={} if method == "PATCH" else None, headers=more).status_code == 404
    assert home.patch("/workspaces/default", json={"disabled": True}, headers=headers).status_code == 403
    body = {"name": "X", "owner": {"email": ADA, "name": "A"}}
    assert home.post("/workspaces", json=body, headers=headers).status_code == 403
    assert home.get("/users").status_code == 403


def test_no_token_looks_after_the_installation_also_not_an_operators(plane: Plane) -> None:
    person(plane, operator=True)
    root, headers = at_home(plane)
    token = root.post("/tokens", json={"name": "t"}, headers=headers).json()["token"]
    asked = client(plane, token)
    assert asked.get("/me").json()["operator"] is False
    body = {"name": "X", "owner": {"email": ADA, "name": "A"}}
    for answer in (asked.get("/users"), asked.post("/workspaces", json=body), asked.get("/auth/sessions")):
        assert answer.status_code == 403
    assert asked.patch("/workspaces/default", json={"disabled": True}).status_code == 403


def test_an_operator_looks_after_users(plane: Plane) -> None:
    person(plane, operator=True)
    bob = person(plane, BOB, "viewer")
    root, headers = at_home(plane)
    other, _ = at_home(plane, BOB)
    found = root.get("/users").json()
    assert [one["email"] for one in found["data"]] == [BOB, ADA] and "password" in found["data"][0]
    assert root.patch(f"/users/{bob}", json={"disabled": True}, headers=headers).json()["disabled"]
    assert other.get("/me").status_code == 401
    assert root.patch("/users/user_none", json={"disabled": True}, headers=headers).status_code == 404
    me = root.get("/me").json()["id"]
    assert root.patch(f"/users/{me}", json={"operator": False}, headers=headers).status_code == 409


def test_tokens_are_ones_own_or_everybodys(plane: Plane) -> None:
    person(plane)
    person(plane, BOB, "viewer")
    owner, owners = at_home(plane)
    viewer, viewers = at_home(plane, BOB)
    mine = viewer.post("/tokens", json={"name": "mine", "scopes": ["team:read"]}, headers=viewers)
    theirs = owner.post("/tokens", json={"name": "theirs"}, headers=owners).json()
    assert [one["name"] for one in viewer.get("/tokens").json()["data"]] == ["mine"]
    assert {one["name"] for one in owner.get("/tokens").json()["data"]} == {"mine", "theirs"}
    assert viewer.get(f"/tokens/{theirs['id']}").status_code == 404
    assert viewer.delete(f"/tokens/{theirs['id']}", headers=viewers).status_code in (403, 404)
    more = viewer.post("/tokens", json={"name": "more", "scopes": ["team:write"]}, headers=viewers)
    assert more.status_code == 403, "no more than oneself"
    asked = client(plane, mine.json()["token"])
    assert asked.get("/teams").status_code == 200 and asked.get("/apps").status_code == 403
    assert asked.get("/me").json()["workspaces"][0]["scopes"] == ["team:read"]
    assert owner.delete(f"/tokens/{mine.json()['id']}", headers=owners).status_code == 204
    assert asked.get("/teams").status_code == 401


def test_a_token_is_nobody_elses_in_disguise(plane: Plane) -> None:
    ada = member_of(plane, person(plane))["id"]
    person(plane, BOB, "admin")
    service(plane, "owner")
    service(plane, "viewer")
    admin, headers = at_home(plane, BOB)
    for scopes in ([], ["team:read"]):
        for member_id in (ada, "member_owner"):
            body = {"name": "t", "member_id": member_id, "scopes": scopes}
            assert admin.post("/tokens", json=body, headers=headers).status_code == 403
        body = {"name": "t", "member_id": "member_viewer", "scopes": scopes}
        assert admin.post("/tokens", json=body, headers=headers).status_code == 201


def test_a_service_account_is_nobody_who_signs_in(plane: Plane) -> None:
    asked = client(plane, service(plane, "admin"))
    for path in ("/auth/password", "/auth/totp", "/auth/sign-out"):
        assert asked.post(path, json={"password": "x", "new_password": "y"}).status_code == 403
    me = asked.get("/me").json()
    assert me["kind"] == "token" and me["csrf_token"] is None and me["workspaces"][0]["role"] == "admin"
