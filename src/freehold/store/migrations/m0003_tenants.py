"""People, teams, apps, keys, providers and routes of workspaces; how administrators sign in; the audit log; what gateways follow.

Once released, a migration is never changed: there are databases that it has made.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKeyConstraint, LargeBinary, Text, UniqueConstraint, false
from sqlalchemy import text as sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for column in (
        Column("metadata", JSON, nullable=False, server_default=sql("'{}'")),
        Column("updated_ms", BigInteger, nullable=False, server_default=sql("0")),
        Column("version", BigInteger, nullable=False, server_default=sql("1")),
        Column("disabled", Boolean, nullable=False, server_default=false()),
        Column("data_key", LargeBinary),
    ):
        op.add_column("workspaces", column)
    _people()
    _organisation()
    _ways()
    _happened()


def _people() -> None:
    op.create_table(
        "users",
        Column("id", Text, primary_key=True),
        *_texts("email", "name", "password"),
        Column("totp", LargeBinary),
        Column("totp_new", LargeBinary),
        *_numbers("totp_used"),
        Column("recovery", JSON),
        *_flags("operator", "disabled"),
        *_numbers("created_ms", "updated_ms", "version"),
        UniqueConstraint("email", name="users_by_email"),
    )
    op.create_table(
        "identities",
        Column("issuer", Text, primary_key=True),
        Column("subject", Text, primary_key=True),
        *_texts("user_id"),
        _of_user(),
    )
    op.create_table(
        "sessions",
        Column("digest", LargeBinary, primary_key=True),
        *_texts("id", "user_id", "csrf"),
        Column("provider", Text),
        *_texts("address", "agent"),
        *_numbers("created_ms", "seen_ms", "expires_ms"),
        _of_user(),
    )
    op.create_index("sessions_by_user", "sessions", ["user_id"])
    _object(
        "invites",
        _bytes("digest"),
        *_texts("email", "role"),
        Column("operator", Boolean),
        *_numbers("expires_ms", "accepted_ms"),
        UniqueConstraint("digest", name="invites_by_digest"),
    )
    op.create_table("failures", Column("subject", Text, primary_key=True), *_numbers("count", "since_ms", "until_ms"))


def _organisation() -> None:
    _object(
        "teams",
        Column("managed_by", Text),
        Column("external_id", Text),
        UniqueConstraint("workspace", "name", name="teams_by_name"),
    )
    _object(
        "members",
        *_texts("kind"),
        Column("user_id", Text),
        *_texts("role"),
        Column("managed_by", Text),
        Column("user_name", Text),
        Column("external_id", Text),
        Column("provisioned", JSON),
        *_flags("disabled"),
        _of_user(),
        UniqueConstraint("workspace", "user_id", name="members_by_user"),
        UniqueConstraint("workspace", "user_name", name="members_by_user_name"),
    )
    op.create_index("members_of_user", "members", ["user_id"])
    op.create_table(
        "team_members",
        *(Column(name, Text, primary_key=True) for name in ("workspace", "team_id", "member_id")),
        _inside("team_id", "teams", "CASCADE"),
        _inside("member_id", "members", "CASCADE"),
    )
    _object(
        "tokens",
        _bytes("digest"),
        *_texts("prefix", "last4", "member_id"),
        *_documents("scopes"),
        Column("expires_ms", BigInteger),
        *_numbers("used_ms"),
        _inside("member_id", "members", "CASCADE"),
        UniqueConstraint("digest", name="tokens_by_digest"),
    )
    _object(
        "apps",
        *_texts("environment"),
        Column("team_id", Text),
        Column("owner_id", Text),
        *_flags("disabled"),
        _inside("team_id", "teams"),
        _inside("owner_id", "members"),
        UniqueConstraint("workspace", "name", "environment", name="apps_by_name"),
    )
    _object(
        "keys",
        _bytes("digest"),
        *_texts("prefix", "last4"),
        Column("old_digest", LargeBinary),
        Column("old_until_ms", BigInteger),
        Column("app_id", Text),
        Column("member_id", Text),
        *_documents("models", "addresses", "limits", "budgets"),
        *_texts("capture"),
        Column("expires_ms", BigInteger),
        *_flags("disabled"),
        _inside("app_id", "apps"),
        _inside("member_id", "members"),
        UniqueConstraint("digest", name="keys_by_digest"),
    )
    op.create_index("keys_by_app", "keys", ["workspace", "app_id"])
    op.create_index("keys_by_member", "keys", ["workspace", "member_id"])


def _ways() -> None:
    for table in ("providers", "routes"):
        _object(table, *_documents("config"), UniqueConstraint("workspace", "name", name=f"{table}_by_name"))
    _object(
        "credentials",
        *_texts("provider"),
        _bytes("secret"),
        *_texts("last4"),
        Column("reference", Text),
        *_flags("disabled"),
        UniqueConstraint("workspace", "provider", "name", name="credentials_by_name"),
    )


def _happened() -> None:
    op.create_table(
        "changes",
        Column("revision", BigInteger, primary_key=True, autoincrement=False),
        *_texts("workspace", "kind", "object_id"),
        *_numbers("at_ms"),
    )
    op.create_table(
        "audit",
        Column("workspace", Text, primary_key=True),
        Column("sequence", BigInteger, primary_key=True, autoincrement=False),
        *_numbers("at_ms"),
        *_texts("actor_kind", "actor_id", "actor", "address", "action", "kind", "object_id", "object"),
        Column("before", Text),
        Column("after", Text),
        *_texts("digest"),
    )
    op.create_index("audit_by_time", "audit", ["workspace", "at_ms"])
    op.create_table(
        "audit_sent",
        Column("workspace", Text, primary_key=True),
        Column("target", Text, primary_key=True),
        *_numbers("sequence"),
    )
    op.create_table(
        "replies",
        Column("actor", Text, primary_key=True),
        Column("idempotency_key", Text, primary_key=True),
        _bytes("answer"),
        *_numbers("at_ms"),
    )
    op.create_index("replies_by_time", "replies", ["at_ms"])


def _object(name: str, *items: Any) -> None:
    op.create_table(
        name,
        Column("workspace", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        *_texts("name"),
        *_documents("metadata"),
        *_numbers("created_ms", "updated_ms", "version"),
        *items,
        ForeignKeyConstraint(["workspace"], ["workspaces.id"]),
    )


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def _numbers(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


def _flags(*names: str) -> list[Column[bool]]:
    return [Column(name, Boolean, nullable=False) for name in names]


def _documents(*names: str) -> list[Column[Any]]:
    return [Column(name, JSON, nullable=False) for name in names]


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _of_user() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE")


def _inside(column: str, table: str, ondelete: str | None = None) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["workspace", column], [f"{table}.workspace", f"{table}.id"], ondelete=ondelete)
