"""What both ways of writing a JSON Schema for Gemini need: a bounded walk, references, allOf, exclusive bounds."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from freehold.base.errors import Unsupported
from freehold.wire.dropped import Dropped

Node = dict[str, Any]

MAX_DEPTH = 64
MAX_NODES = 10_000  # a few nested $refs can write out to more than memory holds


class Walk:
    """A walk over one schema. `path` is where the client wrote it; `dropped` collects what can't be said."""

    def __init__(self, root: Node, path: str, dropped: Dropped) -> None:
        self._root = root
        self._path = path
        self._dropped = dropped
        self._nodes = 0

    def count(self, depth: int) -> None:
        """One more part. Raises Unsupported when there are too many."""
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise Unsupported(
                f"{self._path}: is too large for this target when its references are written out "
                f"(more than {MAX_NODES} parts or {MAX_DEPTH} levels). Simplify it.",
                param=self._path,
            )

    def lose(self, keyword: str) -> None:
        self._dropped[f"{self._path} ({keyword})"] = None

    def target(self, ref: str) -> Any:
        return target(self._root, ref, self._path)


def target(root: Node, ref: str, path: str) -> Any:
    """What a local reference names ("#", "#/$defs/x", any JSON pointer). Raises Unsupported where there is no such thing."""
    if not ref.startswith("#"):
        raise Unsupported(f"{path}: {ref[:100]!r} lies outside the schema. Write the definition into it.", param=path)
    found: Any = root
    for step in unquote(ref[1:]).split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isascii() and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            raise Unsupported(f"{path}: {ref[:100]!r} names no definition in the schema.", param=path)
    return found


def merged(node: Node) -> Node:
    """`allOf` merged into its node: properties and required names joined, of other keywords the node's own win."""
    members = node.get("allOf")
    if not isinstance(members, list) or any(isinstance(one, dict) and "$ref" in one for one in members):
        return node
    out = {name: value for name, value in node.items() if name != "allOf"}
    for member in members:
        if not isinstance(member, dict):
            continue
        for name, value in merged(member).items():
            if name in ("properties", "$defs", "definitions") and isinstance(value, dict):
                held = out.get(name)
                out[name] = value | held if isinstance(held, dict) else value
            elif name == "required" and isinstance(value, list) and isinstance(out.get(name), list):
                out[name] = [*out[name], *(one for one in value if one not in out[name])]
            else:
                out.setdefault(name, value)
    return out


def bounds(node: Node, path: str, dropped: Dropped) -> Node:
    """Exclusive bounds as inclusive ones."""
    if "exclusiveMinimum" not in node and "exclusiveMaximum" not in node:
        return node
    out = {name: value for name, value in node.items() if name not in ("exclusiveMinimum", "exclusiveMaximum")}
    whole = node.get("type") == "integer"
    bound: Any
    for name, step, tighter in (("Minimum", 1, max), ("Maximum", -1, min)):
        bound = node.get(f"exclusive{name}")
        if bound is True and isinstance(out.get(name.lower()), int | float):  # draft 4: a switch beside the bound
            bound = out[name.lower()]
        if type(bound) not in (int, float):
            continue
        if whole and bound == int(bound):
            bound = int(bound) + step
        else:
            dropped[f"{path} (exclusive{name}, sent as {name.lower()})"] = None
        held: Any = out.get(name.lower())
        out[name.lower()] = tighter(held, bound) if type(held) in (int, float) else bound
    return out
