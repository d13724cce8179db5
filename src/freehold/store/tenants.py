"""Tables of what administrators look after. Every row belongs to a workspace, which is the first part of its primary key:
a reference names it too, so that the database itself refuses a row that points into another workspace.

People are not a tenant's: one person may be a member of several workspaces, and signs in once.
A change here needs a migration, as in schema.py.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, LargeBinary, Table, Text, UniqueConstraint
from sqlalchemy.sql.schema import SchemaItem

from freehold.store.columns import (
    document,
    flag,
    maybe_document,
    maybe_flag,
    maybe_number,
    maybe_sealed,
    maybe_text,
    metadata,
    number,
    sealed,
    text,
)


def _object(name: str, *columns: SchemaItem) -> Table:
    """`version` counts the changes of a row, for If-Match. `metadata`: the users' own, never read by us."""
    return Table(
        name,
        metadata,
        Column("workspace", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        text("name"),
        document("metadata"),
        number("created_ms"),
        number("updated_ms"),
        number("version"),
        *columns,
        ForeignKeyConstraint(["workspace"], ["workspaces.id"]),
    )


def _in_workspace(column: str, table: str, ondelete: str | None = None) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["workspace", column], [f"{table}.workspace", f"{table}.id"], ondelete=ondelete)


# --- people and how they come in ---

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    text("email"),  # in lower case
    text("name"),
    text("password"),  # argon2id; "": signs in otherwise
    maybe_sealed("totp"),  # the second factor's secret (control/totp.py seals it); NULL: none
    maybe_sealed("totp_new"),  # one that is not confirmed yet
    number("totp_used"),  # the last time step that was used: a code counts once
    maybe_document("recovery"),  # digests in hex of the codes that stand in for the second factor, each once
    flag("operator"),  # looks after the installation: makes and removes workspaces
    flag("disabled"),
    number("created_ms"),
    number("updated_ms"),
    number("version"),
    UniqueConstraint("email", name="users_by_email"),
)

# Who a person is at an identity provider.
identities = Table(
    "identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    text("user_id"),
    ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
)

# Signed-in browsers. `digest`: SHA-256 of the cookie.
sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    text("id"),  # to name it in lists
    text("user_id"),
    text("csrf"),
    maybe_text("provider"),  # the identity provider's name; NULL: signed in with a password
    text("address"),
    text("agent"),
    number("created_ms"),
    number("seen_ms"),
    number("expires_ms"),
    ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
    Index("sessions_by_user", "user_id"),
)

# Links by which a person joins a workspace, once.
invites = _object(
    "invites",
    sealed("digest"),
    text("email"),  # in lower case; "": whoever sets the installation up. The name is the person's
    text("role"),
    maybe_flag("operator"),  # it makes an operator too: good only while there is no user at all
    number("expires_ms"),
    number("accepted_ms"),  # 0: not yet
    UniqueConstraint("digest", name="invites_by_digest"),
)

# Guesses that failed lately, by what was guessed at (an account, an address).
failures = Table(
    "failures",
    metadata,
    Column("subject", Text, primary_key=True),
    number("count"),
    number("since_ms"),
    number("until_ms"),  # nothing is tried before
)

# --- the organisation ---

teams = _object(
    "teams",
    maybe_text("managed_by"),  # NULL: by hand; "scim"
    maybe_text("external_id"),  # the provisioning system's
    UniqueConstraint("workspace", "name", name="teams_by_name"),
)

# A person, or a service account, with a role.
members = _object(
    "members",
    text("kind"),  # person, service
    maybe_text("user_id"),  # NULL: a service account
    text("role"),  # control/rights.py
    maybe_text("managed_by"),  # who keeps the role: NULL: by hand; "scim"; "oidc:" and the provider's name
    maybe_text("user_name"),  # the provisioning system's, in lower case
    maybe_text("external_id"),  # its own id
    maybe_document("provisioned"),  # what it said of the person
    flag("disabled"),
    ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
    UniqueConstraint("workspace", "user_id", name="members_by_user"),
    UniqueConstraint("workspace", "user_name", name="members_by_user_name"),
    Index("members_of_user", "user_id"),
)

team_members = Table(
    "team_members",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("team_id", Text, primary_key=True),
    Column("member_id", Text, primary_key=True),
    _in_workspace("team_id", "teams", "CASCADE"),
    _in_workspace("member_id", "members", "CASCADE"),
)

# Administrators' tokens for the API. They act as their member, within `scopes`.
tokens = _object(
    "tokens",
    sealed("digest"),
    text("prefix"),
    text("last4"),
    text("member_id"),
    document("scopes"),
    maybe_number("expires_ms"),
    number("used_ms"),  # to the minute; 0: never
    _in_workspace("member_id", "members", "CASCADE"),
    UniqueConstraint("digest", name="tokens_by_digest"),
)

apps = _object(
    "apps",
    text("environment"),  # production, staging, ... ("": not said)
    maybe_text("team_id"),
    maybe_text("owner_id"),  # a member
    flag("disabled"),
    _in_workspace("team_id", "teams"),
    _in_workspace("owner_id", "members"),
    UniqueConstraint("workspace", "name", "environment", name="apps_by_name"),
)

# What clients call with. Of an app, a member, or neither.
keys = _object(
    "keys",
    sealed("digest"),  # SHA-256 of the secret
    text("prefix"),
    text("last4"),
    maybe_sealed("old_digest"),  # after a rotation, good until `old_until_ms`
    maybe_number("old_until_ms"),
    maybe_text("app_id"),
    maybe_text("member_id"),
    document("models"),
    document("addresses"),  # networks that it may be used from; []: all
    document("limits"),
    document("budgets"),
    text("capture"),  # none, redacted, full; "": as the route says
    maybe_number("expires_ms"),
    flag("disabled"),
    _in_workspace("app_id", "apps"),
    _in_workspace("member_id", "members"),
    UniqueConstraint("digest", name="keys_by_digest"),
    Index("keys_by_app", "workspace", "app_id"),
    Index("keys_by_member", "workspace", "member_id"),
)

# --- where calls go ---

# `config`: as under `providers` and `routes` in freehold.yaml, without secrets.
providers = _object("providers", document("config"), UniqueConstraint("workspace", "name", name="providers_by_name"))
routes = _object("routes", document("config"), UniqueConstraint("workspace", "name", name="routes_by_name"))

# Secrets for providers. `secret` opens with the workspace's key alone (store/credential.py says what is in it).
credentials = _object(
    "credentials",
    text("provider"),
    sealed("secret"),
    text("last4"),  # "": too short to show any of it, or a reference
    maybe_text("reference"),  # to be seen; what counts is sealed
    flag("disabled"),
    UniqueConstraint("workspace", "provider", "name", name="credentials_by_name"),
)

# --- what happened ---

# What gateways must be told: the object `id` of `kind` is as its table now says, or gone. Written with each change.
changes = Table(
    "changes",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    text("workspace"),
    text("kind"),
    text("object_id"),
    number("at_ms"),
)

# Every administrative act. A chain for each workspace ("": the installation's own): control/audit.py says how it is linked.
audit = Table(
    "audit",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    number("at_ms"),
    text("actor_kind"),
    text("actor_id"),
    text("actor"),
    text("address"),
    text("action"),
    text("kind"),
    text("object_id"),
    text("object"),
    maybe_text("before"),  # JSON, with sorted names and without secrets
    maybe_text("after"),
    text("digest"),  # keyed by the master key
    Index("audit_by_time", "workspace", "at_ms"),
)

# How far the audit log has been sent to a syslog server.
audit_sent = Table(
    "audit_sent",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    number("sequence"),
)

# Answers to requests that carried an Idempotency-Key. The request's digest is sealed with the answer: it may tell of a secret.
replies = Table(
    "replies",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    sealed("answer"),
    number("at_ms"),
    Index("replies_by_time", "at_ms"),
)
