"""Making, listing, reading, changing and deleting, as every noun does it."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_an_object_lives_from_its_making_to_its_end(api: TestClient) -> None:
    made = api.post("/teams", json={"name": "research"})
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/api/v1/teams/{made.json()['id']}" and made.headers["etag"] == '"1"'
    path = f"/teams/{made.json()['id']}"
    assert api.get(path).json() == made.json()
    changed = api.patch(path, json={"name": "science"}, headers={"if-match": '"1"'})
    assert changed.status_code == 200 and changed.json()["name"] == "science" and changed.headers["etag"] == '"2"'
    assert [team["name"] for team in api.get("/teams").json()["data"]] == ["science"]
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_two_editors_cannot_overwrite_each_other(api: TestClient) -> None:
    path = f"/teams/{api.post('/teams', json={'name': 'a'}).json()['id']}"
    assert api.patch(path, json={"name": "b"}, headers={"if-match": '"1"'}).status_code == 200
    late = api.patch(path, json={"name": "c"}, headers={"if-match": '"1"'})
    assert late.status_code == 412 and late.headers["content-type"] == "application/problem+json"
    assert api.delete(path, headers={"if-match": '"1"'}).status_code == 412
    assert api.get(path).json()["name"] == "b"


def test_pages_go_through_all_objects_once_newest_first(api: TestClient) -> None:
    made = [api.post("/teams", json={"name": f"team {n}"}).json()["id"] for n in range(7)]
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get("/teams", params={"limit": 3, "cursor": cursor}).json()
        seen += [team["id"] for team in page["data"]]
        cursor = page["next"]
    assert seen == sorted(made, reverse=True)


def test_a_mistake_is_named_by_its_field(api: TestClient) -> None:
    refused = api.post("/teams", json={"name": "x", "members": ["member_owner", "member_nobody"], "nmae": 1})
    assert refused.status_code == 422 and refused.json()["field"] == "nmae"
    refused = api.post("/teams", json={"name": "x", "members": ["member_owner", "member_nobody"]})
    assert refused.json() == {
        "type": "about:blank",
        "title": "Invalid value",
        "status": 422,
        "detail": "There is no member 'member_nobody' in this workspace.",
        "field": "members[1]",
        "errors": [{"field": "members[1]", "detail": "There is no member 'member_nobody' in this workspace."}],
    }
    assert api.get("/teams").json()["data"] == [], "nothing half-made"
    assert api.post("/teams", json={"name": "x"}).status_code == 201
    assert api.post("/teams", json={"name": "x"}).status_code == 409


def test_nobody_unknown_is_answered(api: TestClient) -> None:
    for value in ("", "Bearer fht_nobody", "Basic YTpi"):
        refused = api.get("/teams", headers={"authorization": value})
        assert refused.status_code == 401 and refused.headers["www-authenticate"].startswith("Bearer"), value
