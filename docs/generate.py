"""Write docs/reference/ from the code: `python docs/generate.py`. With --check, only say which files are stale (exit 1)."""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from typer.main import get_command

from freehold.admin.app import make_app
from freehold.admin.who import who
from freehold.base import errors
from freehold.cli import main as cli
from freehold.config import schema
from freehold.control.rights import OPERATOR_SCOPES, RANKED, ROLES, SCOPES, allows, roles_with
from freehold.upstream.catalogue import PROVIDERS, ProviderRow

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py from the code. Change the code, then run `make docs`. -->"


def pages() -> dict[str, str]:
    """File name -> content."""
    document = make_app(None, who).openapi()  # type: ignore[arg-type]  # nothing is asked
    return {
        "admin-api.md": admin_page(document),
        "cli.md": cli_page(),
        "config.md": config_page(),
        "errors.md": errors_page(),
        "openapi.json": json.dumps(document, indent=1, ensure_ascii=False) + "\n",
        "providers.md": providers_page(),
        "roles.md": roles_page(),
    }


def page(title: str, *blocks: str) -> str:
    return "\n\n".join((f"# {title}", NOTE, *blocks)) + "\n"


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in lines)


# --- commands ---


def cli_page() -> str:
    root: Any = get_command(cli.app)
    doc = (inspect.getdoc(cli) or "").split("\n\n", 1)
    blocks = [f"## `{name}`\n\n```text\n{text}\n```" for name, text in helps("freehold", root)]
    return page("Commands", doc[1].replace("\n", " "), *blocks)


def helps(name: str, command: Any) -> Iterator[tuple[str, str]]:
    """The help of a command and of those below it, without hidden ones, at a fixed width."""
    context = command.context_class(command, info_name=name, terminal_width=100, max_content_width=100)
    yield name, command.get_help(context).strip()
    if hasattr(command, "list_commands"):
        for one in command.list_commands(context):
            child = command.get_command(context, one)
            if not child.hidden:
                yield from helps(f"{name} {one}", child)


# --- the admin API ---


def admin_page(document: dict[str, Any]) -> str:
    blocks = [document["info"]["description"].strip(), "The whole of it: [openapi.json](openapi.json), OpenAPI 3.1."]
    rows = [(f"`{scope}`", about, ", ".join(roles_with(scope))) for scope, about in SCOPES.items()]
    blocks.append("## Rights\n\n" + table(("right", "allows to", "roles"), rows))
    by_tag: dict[str, list[tuple[str, ...]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            row = (f"`{method.upper()} {path}`", operation["summary"], f"`{operation['x-scope']}`", refusals(document, operation))
            by_tag.setdefault(operation["tags"][0], []).append(row)
    heads = ("operation", "does", "right", "refused with")
    blocks += [f"## {tag.capitalize()}\n\n" + table(heads, by_tag[tag]) for tag in sorted(by_tag)]
    fields = [
        schema
        for name, schema in sorted(document["components"]["schemas"].items())
        if name.startswith(("New", "Edit", "Rotation"))
    ]
    blocks.append("## What is sent\n\n" + "\n\n".join(schema_block(schema) for schema in fields))
    return page("Admin API", *blocks)


def refusals(document: dict[str, Any], operation: dict[str, Any]) -> str:
    return ", ".join(status for status in operation["responses"] if status >= "4" and status not in ("500", "503"))


def schema_block(schema: dict[str, Any]) -> str:
    rows = []
    for name, field in schema.get("properties", {}).items():
        kinds = [part for part in field.get("anyOf", [field]) if part.get("type") != "null"]
        need = (
            "required"
            if name in schema.get("required", ())
            else "`" + json.dumps(field["default"]) + "`"
            if "default" in field
            else ""
        )
        example = json.dumps(field["examples"][0]) if field.get("examples") else ""
        rows.append((f"`{name}`", schema_type(kinds[0]), need, field.get("description", ""), f"`{example}`" if example else ""))
    return f"### {schema['title']}\n\n" + table(("field", "type", "default", "meaning", "example"), rows)


def schema_type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2].lower()
    if "enum" in schema:
        return " or ".join(f'"{one}"' for one in schema["enum"])
    kind = str(schema.get("format") or schema.get("type", "any"))
    return (
        f"list of {schema_type(schema['items'])}" if kind == "array" else {"string": "text", "object": "mapping"}.get(kind, kind)
    )


# --- configuration ---


def config_page() -> str:
    source = inspect.getsource(schema)
    comments = trailing_comments(source)
    structs = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.body}
    intro = (
        "`freehold.yaml`, by section. Unknown fields are errors; `freehold check` names every mistake. `${NAME}` in a value\n"
        "stands for an environment variable, `${NAME:-default}` gives it a default, `$${` is a plain `${`. A field of the\n"
        "type secret may also be a [reference](../how-to/secrets.md): `file:/run/secrets/x` or `vault:path#field`."
    )
    order = [
        "Config",
        "ProviderConfig",
        "CredentialConfig",
        "TimeoutsConfig",
        "PriceConfig",
        "RouteConfig",
        "TargetConfig",
        "KeyConfig",
        "AdminConfig",
        "SignInConfig",
        "OidcConfig",
        "ScimConfig",
        "RoleConfig",
        "AuditConfig",
        "SecretsConfig",
        "ServerConfig",
        "RetentionConfig",
    ]
    return page("Configuration", intro, *(struct_block(structs[name], comments) for name in order))


def struct_block(node: ast.ClassDef, comments: dict[int, str]) -> str:
    rows = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign):
            default = "required" if item.value is None else shown_default(item.value)
            rows.append((f"`{ast.unparse(item.target)}`", shown_type(item.annotation), default, comments.get(item.lineno, "")))
    title = node.name.removesuffix("Config").lower() or "the file"
    return f"## {title}\n\n{ast.get_docstring(node)}\n\n" + table(("field", "type", "default", "meaning"), rows)


def trailing_comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


_BOUNDS = {"ge": "at least ", "gt": "more than ", "le": "at most ", "min_length": "length from ", "max_length": "to "}


def shown_type(annotation: ast.expr) -> str:
    text = re.sub(r"Annotated\[(.+), Meta\((.*)\)\]", r"\1 (\2)", ast.unparse(annotation))
    for name, words in (
        ("ProviderConfig", "provider"),
        ("RouteConfig", "route"),
        ("TargetConfig", "target"),
        ("KeyConfig", "key"),
    ):
        text = text.replace(name, words)
    for name, words in (
        ("TimeoutsConfig", "timeouts"),
        ("PriceConfig", "price"),
        ("ServerConfig", "server"),
        ("CredentialConfig", "credential"),
        ("AdminConfig", "admin"),
        ("SignInConfig", "sign-in"),
        ("OidcConfig", "oidc"),
        ("ScimConfig", "scim"),
        ("RoleConfig", "role in a workspace"),
        ("AuditConfig", "audit"),
        ("SecretsConfig", "secrets"),
        ("Secret", "secret"),
    ):
        text = text.replace(name, words)
    text = re.sub(r"Literal\[(.+?)\]", lambda m: " or ".join(part.strip().strip("'") for part in m[1].split(",")), text)
    text = text.replace("dict[str, ", "mapping[name, ").replace("Zone", "internal or external").replace(" | None", "")
    for name, words in (("str", "text"), ("bool", "true or false"), ("float", "number"), ("int", "whole number")):
        text = re.sub(rf"\b{name}\b", words, text)
    text = text.replace("Seconds", "number").replace("Usd", "number")
    return re.sub(r"\b(ge|gt|le|min_length|max_length)=", lambda m: _BOUNDS[m[1]], text)


def shown_default(value: ast.expr) -> str:
    text = ast.unparse(value)
    empty = {"None": "unset", "field(default_factory=dict)": "`{}`", "field(default_factory=list)": "`[]`"}
    if text.startswith("field(default_factory=lambda: "):
        return f"`{text[30:-1]}`".replace("'", '"')
    return empty.get(text) or ("see below" if text.startswith("field(") else f"`{text.lower()}`")


# --- errors ---


def errors_page() -> str:
    intro = (
        "Every failed call is answered in the client's own dialect, with that API's status codes and error body; our code is\n"
        "in the record of calls. A message names the value and says what to do; it never holds a secret or an upstream body."
    )
    meanings = dict(re.findall(r"[├└]── (\w+)(?: +\d{3}\b)? *(.*)", inspect.getdoc(errors) or ""))
    rows = [(f"`{errors.GatewayError.kind}`", "500", "GatewayError", "a fault of the gateway's own; it is in its log")]
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.GatewayError) and (not kind.__subclasses__() or name == "NotFound"):
            meaning = next(filter(None, (meanings.get(base.__name__) for base in kind.__mro__)))
            rows.append((f"`{kind.kind}`", "the provider's" if name == "UpstreamRefused" else str(kind.status), name, meaning))
    return page("Errors", intro, table(("code", "status", "type", "when"), sorted(rows)))


# --- roles ---


def roles_page() -> str:
    intro = (
        "What each role may do in its workspace. `own`: what one made oneself; who may write, may do that too. How people get\n"
        "roles: [people and roles](../concepts/people.md)."
    )
    rows = [
        (f"`{scope}`", *("yes" if allows(ROLES[role], scope) else "" for role in RANKED), about)
        for scope, about in SCOPES.items()
    ]
    operators = ", ".join(f"`{scope}`" for scope in SCOPES if scope in OPERATOR_SCOPES)
    after = (
        f"An operator looks after the installation, and may do this in every workspace, member or not: {operators}.\n"
        "Beside that, operators make workspaces, switch them off, see users and their sessions, and switch users off."
    )
    return page("Roles", intro, table(("right", *RANKED, "to"), rows), after)


# --- providers ---


def providers_page() -> str:
    intro = (
        f"{len(PROVIDERS)} providers are known by name. One whose key is in the environment, or which answers at its address on\n"
        "this machine, is used without any configuration. Any other server that speaks one of the dialects is configured with\n"
        "its `dialect` and `base_url`. Clients of every dialect reach every provider; those of a provider's own dialects pass\n"
        "untranslated. A name in braces is filled from the field of that name in `freehold.yaml`, or from the variables shown.\n"
        "Clouds' credentials: [how to](../how-to/cloud-credentials.md)."
    )
    rows = [
        (
            f"`{row.name}`",
            row.title,
            "its own: passthrough only" if row.kinds == ("passthrough",) else ", ".join((row.dialect, *row.also)),
            address(row),
            key_from(row),
            row.notes,
        )
        for row in PROVIDERS.values()
    ]
    return page("Providers", intro, table(("name", "provider", "dialects", "base URL", "key from", "notes"), rows))


def address(row: ProviderRow) -> str:
    if row.base_url.startswith("sandbox:"):
        return "built in"
    filled = [f"{gap}: {' or '.join(f'`{v}`' for v in variables)}" for gap, variables in row.fill.items()]
    return (row.base_url or "yours") + (f" ({'; '.join(filled)})" if filled else "")


def key_from(row: ProviderRow) -> str:
    sources = [f"`{variable}`" for variable in row.env]
    if row.credential:
        sources.append(f"{row.credential} credentials")
    return " or ".join(sources) or "none"


def main() -> None:
    stale = []
    for name, content in pages().items():
        file = FOLDER / name
        if not file.exists() or file.read_text() != content:
            stale.append(name)
            if "--check" not in sys.argv:
                FOLDER.mkdir(exist_ok=True)
                file.write_text(content)
    if stale:
        print(f"{'stale' if '--check' in sys.argv else 'written'}: {', '.join(stale)}")
    sys.exit("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    main()
