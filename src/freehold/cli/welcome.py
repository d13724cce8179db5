"""What `freehold up` prints once it serves. Its curl line is one line and works as printed."""

from __future__ import annotations

from msgspec import Struct, json

from freehold import __version__
from freehold.cli.settings import plural
from freehold.config.rules import SANDBOX

_ANY = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}


class Welcome(Struct, frozen=True, kw_only=True):
    """`providers`: name -> why it is used. `routes`: name -> its targets. `secret`: the first key's, "" on later starts.

    `problem`: why the database can't be used, where it was asked. `admin`: address and port.
    """

    scheme: str
    host: str
    port: int
    file: str
    data: str
    workers: int
    providers: dict[str, str]
    routes: dict[str, list[str]]
    keys_in_file: int
    keys_made: int
    secret: str
    problem: str = ""
    admin: tuple[str, int] | None = None

    @property
    def url(self) -> str:
        return url(self.scheme, self.host, self.port)


def welcome(w: Welcome) -> str:
    source = f"configuration {w.file}" if w.file else "no configuration file: defaults"
    workers = f", {plural(w.workers, 'worker')}" if w.workers > 1 else ""
    lines = [f"Freehold {__version__} serves at {w.url}  ({source}; data in {w.data}{workers})"]
    if w.admin is not None:
        lines.append(f"Admin API at {url(w.scheme, *w.admin)}/api/v1")
    lines.append("")
    lines += ["Providers", *_columns(w.providers)]
    if w.routes:
        lines += ["Routes", *_columns({name: " then ".join(targets) for name, targets in w.routes.items()})]
    lines += ["Keys", *_keys(w), "", *_try_it(w)]
    return "\n".join(lines)


def url(scheme: str, host: str, port: int) -> str:
    shown = _ANY.get(host) or (f"[{host}]" if ":" in host else host)
    return f"{scheme}://{shown}:{port}"


def _columns(rows: dict[str, str]) -> list[str]:
    width = max((len(name) for name in rows), default=0)
    return [f"  {name.ljust(width)}  {text}" for name, text in rows.items()] or ["  none"]


def _keys(w: Welcome) -> list[str]:
    if w.secret:
        return [f"  {w.secret}", "  This first key was made just now and is shown only once: keep it."]
    if w.problem:
        return [f"  The database can't be used: {w.problem}.", "  What this machine knew of it last is served, and the file."]
    made = f"{plural(w.keys_made, 'key')} in the database"
    return [f"  {made}, {w.keys_in_file} in {w.file}" if w.file else f"  {made}", '  One more: "freehold key create --name NAME"']


def _try_it(w: Welcome) -> list[str]:
    key = w.secret or "$FREEHOLD_KEY"
    set_first = "" if w.secret else ", with a key of yours in FREEHOLD_KEY"
    auth = f"-H 'authorization: Bearer {key}'" if w.secret else f'-H "authorization: Bearer {key}"'
    model = next(iter(w.routes), f"{SANDBOX}/echo" if SANDBOX in w.providers else "")
    if not model or "'" in model:
        return [f"See what can be asked for{set_first}:", f"curl -sS {w.url}/v1/models {auth}"]
    real = [name for name in w.providers if name != SANDBOX]
    if model == f"{SANDBOX}/echo":
        what = "Try it (the sandbox only echoes: no model, no cost)"
        after = (
            [f'Real models are asked for as provider/model, for example {real[0]}/...: see "freehold models".'] if real else []
        )
        after = after or ["For a real model, set a provider's key (such as OPENAI_API_KEY) and start again."]
    else:
        what, after = f"Try it (the route {model})", []
    body = json.encode({"model": model, "messages": [{"role": "user", "content": "Say hello"}]}).decode()
    call = f"curl -sS {w.url}/v1/chat/completions {auth} -H 'content-type: application/json' -d '{body}'"
    return [f"{what}{set_first}:", call, *after]
