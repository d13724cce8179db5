"""`freehold team|app|...`: list, show, create, update, delete, the same for every noun, with an option for each of its fields.

The commands are made from the noun's models when one of them is asked for: importing the control plane takes a while.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from msgspec import DecodeError
from msgspec import json as msgspec_json
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from freehold.cli.plane import opened
from freehold.cli.settings import Failed
from freehold.cli.table import table
from freehold.control.actor import command as actor
from freehold.control.noun import Noun

Data = Annotated[Path, typer.Option("--data", metavar="DIR", envvar="FREEHOLD_DATA", help="Where Freehold keeps its data.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
Workspace = Annotated[str, typer.Option("--workspace", metavar="ID", envvar="FREEHOLD_WORKSPACE", help="Whose.")]
ObjectId = Annotated[str, typer.Argument(metavar="ID")]
DATA = Path("data")
_COMMON = {"data": (Data, DATA), "workspace": (Workspace, "default"), "json": (Json, False)}
_MAX_CELL = 40


def noun_app(noun: Noun[Any], help: str) -> typer.Typer:
    """The commands of one noun."""
    out = typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None, add_completion=False)
    name, names = noun.kind.replace("_", " "), noun.plural.replace("_", " ")
    a = "an" if name[0] in "aeiou" else "a"

    def listing(data: Path, workspace: str, json: bool, **filters: Any) -> None:
        wanted = {field: value for field, value in filters.items() if value is not None}
        with opened(data) as plane:
            found, after = noun.page(plane, actor(workspace), wanted, limit=1000)
            while after:
                more, after = noun.page(plane, actor(workspace), wanted, after, 1000)
                found += more
        print(encoded([one.model_dump(mode="json") for one in found]) if json else _table(found, names))

    def show(id: str, data: Path, workspace: str, json: bool) -> None:
        with opened(data) as plane:
            shown(noun.get(plane, actor(workspace), id), json)

    def create(data: Path, workspace: str, json: bool, **fields: Any) -> None:
        with opened(data) as plane:
            shown(noun.create(plane, actor(workspace), _given(noun.new, fields)), json)

    def update(id: str, data: Path, workspace: str, json: bool, **fields: Any) -> None:
        with opened(data) as plane:
            shown(noun.change(plane, actor(workspace), id, _given(noun.edit, fields)), json)

    def delete(id: str, data: Path, workspace: str) -> None:
        with opened(data) as plane:
            noun.remove(plane, actor(workspace), id)
        print(f"{name.capitalize()} {id} is deleted.")

    one = {"id": (ObjectId, inspect.Parameter.empty)}
    filters = {field: _filter(noun, field) for field in noun.filters}
    _add(out, "list", listing, {**filters, **_COMMON}, f"List {names}.")
    _add(out, "show", show, {**one, **_COMMON}, f"Show {a} {name}.")
    _add(out, "create", create, {**_options(noun.new, required=True), **_COMMON}, f"Make {a} {name}.")
    _add(out, "update", update, {**one, **_options(noun.edit, required=False), **_COMMON}, f"Change {a} {name}: what is given.")
    _add(out, "delete", delete, {**one, **{n: _COMMON[n] for n in ("data", "workspace")}}, f"Delete {a} {name}.")
    return out


def _add(out: typer.Typer, name: str, does: Callable[..., None], parameters: Mapping[str, Any], help: str) -> None:
    """Typer reads a function's signature: it is given the one that the noun's fields make."""
    kind = inspect.Parameter.KEYWORD_ONLY
    signature = [inspect.Parameter(n, kind, annotation=a, default=d) for n, (a, d) in parameters.items()]
    does.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    does.__annotations__ = {n: a for n, (a, _) in parameters.items()}
    out.command(name, help=help)(does)


def _filter(noun: Noun[Any], field: str) -> tuple[Any, Any]:
    kind, label = noun.table.c[field].type.python_type, field.replace("_", " ")
    about = "Only those that are, or are not." if kind is bool else f"Only those with this {label}."
    return Annotated[kind | None, typer.Option(help=about, metavar=None if kind is bool else "TEXT")], None


def _options(model: type[BaseModel], *, required: bool) -> dict[str, tuple[Any, Any]]:
    return {name: _option(name, field, required=required) for name, field in model.model_fields.items()}


def _option(name: str, field: FieldInfo, *, required: bool) -> tuple[Any, Any]:
    kind, many = _kind(field.annotation)
    flag = f"--{name.removesuffix('_at').removesuffix('s') if many else name.removesuffix('_at')}".replace("_", "-")
    help = field.description or (f"Its {name.replace('_', ' ')}." if not many else "")
    if many:
        help += " Repeat for more."
    shown = kind if kind in (str, int, float, bool) else str
    metavars = {dict: "NAME=VALUE" if many else "JSON", datetime: "TIME", BaseModel: "JSON", str: "TEXT", int: "N", float: "N"}
    metavar = metavars.get(kind)
    flags = (f"{flag}/--no-{flag[2:]}",) if shown is bool else (flag,)
    option = typer.Option(*flags, help=help.strip(), metavar=metavar, show_default=False)
    if required and field.is_required():
        return Annotated[shown, option], inspect.Parameter.empty
    return Annotated[list[shown] | None if many else shown | None, option], None  # type: ignore[valid-type]


def _kind(annotation: Any) -> tuple[type, bool]:
    """What one value is, and whether there may be many."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    origin, args = get_origin(annotation), [a for a in get_args(annotation) if a is not type(None)]
    if origin is list:
        return _kind(args[0])[0], True
    if origin is dict:
        return dict, _kind(args[1])[0] is str
    if args and origin is not None and all(isinstance(a, str) for a in args):  # Literal
        return str, False
    if args:  # X | None
        return _kind(args[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return BaseModel, False
    return annotation, False


def _given(model: type[BaseModel], fields: Mapping[str, Any]) -> Any:
    """Raises Failed naming every option that can't be taken."""
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None:
            continue
        kind, many = _kind(model.model_fields[name].annotation)
        if kind is dict and many:
            pairs = [pair.partition("=") for pair in value]
            values[name] = {key: text for key, _, text in pairs}
        elif kind is BaseModel or kind is dict:
            values[name] = [_parsed(name, text) for text in value] if many else _parsed(name, value)
        else:
            values[name] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Failed(wrong(error)) from None


def wrong(error: ValidationError) -> str:
    """Every field that can't be taken, and why."""
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors())


def _parsed(name: str, text: str) -> Any:
    try:
        return msgspec_json.decode(text)
    except (DecodeError, UnicodeError):
        raise Failed(f"{name}: {text[:60]!r} is no JSON") from None


def shown(view: BaseModel, as_json: bool) -> None:
    values = view.model_dump(mode="json")
    if as_json:
        print(encoded(values))
        return
    width = max(map(len, values))
    for name, value in values.items():
        if value not in (None, "", [], {}):
            print(f"{name.ljust(width)}  {_text(value)}")


def _table(found: list[Any], names: str) -> str:
    if not found:
        return f"No {names} yet."
    rows = [one.model_dump(mode="json") for one in found]
    heads = [name for name in rows[0] if name not in ("metadata", "updated_at") and any(row[name] for row in rows)]
    return table([head.upper() for head in heads], [[_cell(row[head]) for head in heads] for row in rows])


def _cell(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 3]}..."


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return value if isinstance(value, str) else msgspec_json.encode(value).decode()


def encoded(value: object) -> str:
    return msgspec_json.format(msgspec_json.encode(value), indent=2).decode()
