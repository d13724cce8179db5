from __future__ import annotations

import pytest

from freehold.config.load import check, parse
from freehold.config.schema import RoleConfig

GOOD = """
sign_in:
  url: https://freehold.example.com
  oidc:
    - name: corp
      issuer: https://idp.example.com
      client_id: freehold
      client_secret: ${SECRET}
      roles:
        admins: admin
        lab: {workspace: lab, role: member}
  scim: {default_role: viewer, roles: {Leads: admin}}
"""


def test_a_groups_role_is_a_word_or_names_its_workspace_too() -> None:
    config, problems = parse(GOOD, {"SECRET": "s3cret"})
    assert not problems
    [provider] = config.sign_in.oidc
    assert provider.roles == {"admins": "admin", "lab": RoleConfig(role="member", workspace="lab")}
    assert provider.client_secret == "s3cret" and "s3cret" not in repr(config)
    assert config.sign_in.scim.roles == {"Leads": "admin"} and config.sign_in.scim.default_role == "viewer"


@pytest.mark.parametrize(
    "change, path",
    [
        (("https://idp.example.com", "http://idp.example.com"), "sign_in.oidc[0].issuer"),
        (("https://idp.example.com", "idp.example.com"), "sign_in.oidc[0].issuer"),
        (("https://idp.example.com", "https://u:p@idp.example.com"), "sign_in.oidc[0].issuer"),
        (("https://idp.example.com", "https://idp.example.com/?x=1"), "sign_in.oidc[0].issuer"),
        (("https://idp.example.com", "https://[::1"), "sign_in.oidc[0].issuer"),
        (("name: corp", "name: Corp Inc"), "sign_in.oidc[0].name"),
        (("client_id: freehold", 'client_id: ""'), "sign_in.oidc[0].client_id"),
        (("client_id: freehold", "client_id: x\n      scopes: [email]"), "sign_in.oidc[0].scopes"),
        (("client_id: freehold", 'client_id: x\n      scopes: [openid, "a b"]'), "sign_in.oidc[0].scopes[1]"),
        (("client_id: freehold", "client_id: x\n      domains: [Example.com]"), "sign_in.oidc[0].domains[0]"),
        (("admins: admin", "admins: king"), "sign_in.oidc[0].roles.admins"),
        (("role: member", "role: king"), "sign_in.oidc[0].roles.lab.role"),
        (("workspace: lab, role: member", "workspace: lab"), "sign_in.oidc[0].roles.lab.role"),
        (("https://freehold.example.com", "https://freehold.example.com/admin"), "sign_in.url"),
        (("https://freehold.example.com", "freehold"), "sign_in.url"),
    ],
    ids=str,
)
def test_a_mistake_is_named_by_its_place(change: tuple[str, str], path: str) -> None:
    assert path in [one.path for one in check(GOOD.replace(*change), {"SECRET": "x"})]


def test_of_several_providers_each_says_whose_addresses_it_may_vouch_for() -> None:
    two = """
sign_in:
  oidc:
    - {name: a, issuer: https://a.example.com, client_id: x}
    - {name: a, issuer: https://b.example.com, client_id: x, domains: [b.example.com], allow_sign_up: true}
"""
    found = [one.path for one in check(two, {})]
    assert found == ["sign_in.oidc[0].domains", "sign_in.oidc[1].name", "sign_in.oidc[1].roles"]


def test_this_machine_may_be_asked_without_https() -> None:
    assert not check("sign_in: {oidc: [{name: a, issuer: 'http://127.0.0.1:9400', client_id: x}]}", {})
