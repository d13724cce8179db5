"""JSON Schema -> what a Gemini model takes.

Newer models read JSON Schema itself (`parametersJsonSchema`, `responseJsonSchema`) and pass over keywords that they don't
know; only what they would misread is rewritten (`adjusted`). Older ones, and other servers of this API, take Google's own
Schema and refuse the whole request for one unknown keyword: there everything is rewritten (`converted`):

    $ref                     its target, written out; Unsupported where it is recursive or not inside the schema
    allOf                    merged into one
    oneOf                    anyOf
    const                    an enum of one
    type: [a, "null"]        type a, nullable
    type: [a, b]             anyOf
    anyOf with null          nullable, without it
    enum of non-strings      told in the description; null in it: nullable
    exclusiveMinimum N       minimum N + 1 of an integer; minimum N of a number (loses the bound itself)
    items: [a, b]            anyOf of a and b, as is prefixItems
    items missing, true      items of type string: Schema knows no "anything"
    required                 only names that `properties` has
    additionalProperties, patternProperties, not, if, dependent..., uniqueItems, multipleOf...     left out

Keywords that restrict and are left out are named in `dropped`, those that only describe ($schema, $id, examples) are not.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.base.errors import Unsupported
from freehold.wire.dialects.gemini.schema_walk import Node, Walk, bounds, merged, target
from freehold.wire.dialects.gemini.words import decode_any, decode_fields, encode
from freehold.wire.dropped import Dropped

_KEPT = frozenset((
    "title", "description", "format", "maxItems", "minItems", "maxProperties", "minProperties", "minimum", "maximum",
    "maxLength", "minLength", "pattern", "default", "nullable", "example", "propertyOrdering",
))  # fmt: skip
_SILENT = frozenset((
    "$schema", "$id", "$comment", "$anchor", "$defs", "definitions", "examples", "deprecated", "readOnly", "writeOnly",
    "contentEncoding", "contentMediaType", "discriminator", "xml", "externalDocs", "strict",
))  # fmt: skip
_OF_TYPE = {"array": ("items", "prefixItems"), "object": ("properties", "required", "additionalProperties")}
_TYPES = frozenset(("string", "number", "integer", "boolean", "array", "object", "null"))
# What makes `adjusted` look into a schema at all; the rest of the schemas, nearly all, are sent byte-identical.
_TRIGGERS = (b'"const"', b'"$ref"', b'"allOf"', b'"definitions"', b'"exclusiveM', b'"$schema"')


def parameters_out(schema: Raw, path: str, speaks_json_schema: bool, dropped: Dropped) -> dict[str, Any]:
    """The field that declares a tool's parameters. No parameters at all are not declared: an empty object is refused."""
    fields = _fields(schema, path)
    if not speaks_json_schema:
        node = converted(schema, path, dropped)
        empty = node.get("type") == "OBJECT" and not node.get("properties")
        return {} if empty or not node else {"parameters": node}
    if not fields:
        return {}
    if "type" not in fields and "$ref" not in fields:
        schema = Raw(encode({"type": "object", **fields}))
    return {"parametersJsonSchema": adjusted(schema, path, dropped)}


def output_schema(schema: Raw, path: str, speaks_json_schema: bool, dropped: Dropped) -> dict[str, Any]:
    if speaks_json_schema:
        _fields(schema, path)
        return {"responseJsonSchema": adjusted(schema, path, dropped)}
    return {"responseSchema": converted(schema, path, dropped)}


def _fields(schema: Raw, path: str) -> dict[str, Raw]:
    try:
        return decode_fields(schema)
    except (ValueError, RecursionError):
        raise Unsupported(f"{path}: must be a JSON Schema object.", param=path) from None


def _decoded(schema: Raw, path: str) -> Any:
    try:
        return decode_any(schema)
    except (ValueError, RecursionError):
        raise Unsupported(f"{path}: must be a JSON Schema object in valid UTF-8.", param=path) from None


def _too_deep(path: str) -> Unsupported:
    return Unsupported(f"{path}: is nested too deeply for this target. Simplify it.", param=path)


# --- models that read JSON Schema ----------------------------------------------------


def adjusted(schema: Raw, path: str, dropped: Dropped) -> Any:
    """The schema as it came, except what these models would misread."""
    text = bytes(schema)
    if not any(trigger in text for trigger in _TRIGGERS):
        return schema
    root = _decoded(schema, path)
    adjust = _Adjust(root, path, dropped)
    if isinstance(root.get("$ref"), str):
        # The root itself must be an object's description, not a reference to one.
        named = target(root, root["$ref"], path)
        if isinstance(named, dict):
            root = named | {name: value for name, value in root.items() if name != "$ref"}
    try:
        return adjust.node(root, 0)
    except RecursionError:
        raise _too_deep(path) from None


class _Adjust(Walk):
    def node(self, node: Any, depth: int) -> Any:
        self.count(depth)
        if not isinstance(node, dict):
            return node
        node = self._without_all_of(node, depth)
        if isinstance(node.get("$ref"), str):
            # Beside $ref only names that start with $ may stand.
            kept = {name: value for name, value in node.items() if name.startswith("$") and name != "$schema"}
            return self._children(kept, depth) | {"$ref": node["$ref"].replace("#/definitions/", "#/$defs/", 1)}
        return self._children(bounds(node, self._path, self._dropped), depth)

    def _without_all_of(self, node: Node, depth: int) -> Node:
        """`allOf`, which these models don't know: a lone reference in it stands for itself, other members are merged."""
        members = node.get("allOf")
        if not isinstance(members, list):
            return node
        self.count(depth)
        refs = [one["$ref"] for one in members if isinstance(one, dict) and isinstance(one.get("$ref"), str)]
        if len(members) == 1 and refs and not node.keys() & {"properties", "required"}:
            return {name: value for name, value in node.items() if name != "allOf"} | {"$ref": refs[0]}
        opened = [
            self.target(one["$ref"]) if isinstance(one, dict) and isinstance(one.get("$ref"), str) else one for one in members
        ]
        plain = [self._without_all_of(one, depth + 1) for one in opened if isinstance(one, dict)]
        return merged(node | {"allOf": plain})

    def _children(self, node: Node, depth: int) -> Node:
        out: Node = {}
        for name, value in node.items():
            if name == "$schema":
                continue
            if name in ("properties", "$defs", "definitions", "patternProperties") and isinstance(value, dict):
                out["$defs" if name == "definitions" else name] = {k: self.node(v, depth + 1) for k, v in value.items()}
            elif name in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
                out[name] = [self.node(item, depth + 1) for item in value]
            elif name in ("items", "additionalProperties", "not"):
                out[name] = self.node(value, depth + 1)
            elif name == "const":
                out.update(_enum_of(value, node))
            else:
                out[name] = value
        return out


def _enum_of(value: Any, node: Node) -> Node:
    """`const` as an enum, which these models read for strings and numbers; the type alone says null."""
    if value is None:
        return {"type": "null"}
    out: Node = {"enum": [value]}
    if "type" not in node and not isinstance(value, list | dict):
        kinds = {str: "string", bool: "boolean", int: "integer", float: "number"}
        out["type"] = kinds[type(value)]
    return out


# --- models that read Google's Schema --------------------------------------------------


def converted(schema: Raw, path: str, dropped: Dropped) -> Node:
    """Google's Schema. Raises Unsupported for recursion and for a schema too large when its $refs are written out."""
    root = _decoded(schema, path)
    if not isinstance(root, dict):
        raise Unsupported(f"{path}: must be a JSON Schema object.", param=path)
    try:
        return _Convert(root, path, dropped).node(root, (), 0)
    except RecursionError:
        raise _too_deep(path) from None


class _Convert(Walk):
    def node(self, node: Any, refs: tuple[str, ...], depth: int) -> Node:
        """`refs`: those being written out around this node."""
        self.count(depth)
        if not isinstance(node, dict):
            if node is False:
                self.lose("false")
            return {}
        node, refs = self._opened(node, refs)
        node = bounds(node, self._path, self._dropped)
        out: Node = {name: value for name, value in node.items() if name in _KEPT}
        self._type(node, out, refs, depth)
        self._enum(node, out)
        self._properties(node, out, refs, depth)
        self._items(node, out, refs, depth)
        self._any_of(node, out, refs, depth)
        if not isinstance(out.get("nullable", False), bool):
            del out["nullable"]
        for name in node:
            if name not in _KEPT and name not in _SILENT and name not in _READ and not name.startswith(("x-", "$")):
                self.lose(name)
        return out

    def _opened(self, node: Node, refs: tuple[str, ...]) -> tuple[Node, tuple[str, ...]]:
        """The node with its $ref, and the $refs in its allOf, replaced by what they name."""
        while isinstance(ref := node.get("$ref"), str):
            if ref in refs:
                raise Unsupported(
                    f"{self._path}: the definition {ref[:100]!r} refers to itself, which this target can't be told. "
                    "Write the levels out that you need, or choose another model.",
                    param=self._path,
                )
            refs = (*refs, ref)
            named = self.target(ref)
            rest = {name: value for name, value in node.items() if name != "$ref"}
            node = named | rest if isinstance(named, dict) else rest
        members = node.get("allOf")
        if isinstance(members, list):
            opened: list[Any] = []
            inside = refs
            for member in members:
                if isinstance(member, dict):
                    self.count(0)
                    member, more = self._opened(member, refs)
                    inside += more[len(refs) :]
                opened.append(member)
            node, refs = merged(node | {"allOf": opened}), inside
        return node, refs

    def _type(self, node: Node, out: Node, refs: tuple[str, ...], depth: int) -> None:
        kind = node.get("type")
        kinds = [one.lower() for one in (kind if isinstance(kind, list) else [kind]) if isinstance(one, str)]
        kinds = [one for one in kinds if one in _TYPES]
        if "null" in kinds and len(kinds) > 1:
            out["nullable"] = True
            kinds.remove("null")
        if not kinds and "anyOf" not in node and "oneOf" not in node:
            kinds = _inferred(node)
        if len(kinds) == 1:
            out["type"] = kinds[0].upper()
        elif kinds:
            out["anyOf"] = [
                self.node({"type": one} | {name: node[name] for name in _OF_TYPE.get(one, ()) if name in node}, refs, depth + 1)
                for one in kinds
            ]

    def _enum(self, node: Node, out: Node) -> None:
        values = [node["const"]] if "const" in node else node.get("enum")
        if not isinstance(values, list):
            return
        if None in values:
            if values == [None]:
                out["type"] = "NULL"
                return
            out["nullable"] = True
            values = [value for value in values if value is not None]
        if all(isinstance(value, str) for value in values):
            if out.get("type", "STRING") == "STRING" and values:
                # Google refuses an empty string among the values.
                kept = [value for value in dict.fromkeys(values) if value]
                out |= {"type": "STRING", "format": "enum", "enum": kept} if kept else {"type": "STRING"}
            return
        told = f"One of: {', '.join(encode(value).decode() for value in values)}."
        out["description"] = f"{out['description']} {told}" if isinstance(out.get("description"), str) else told
        self.lose("enum of numbers, told in the description")

    def _properties(self, node: Node, out: Node, refs: tuple[str, ...], depth: int) -> None:
        if node.get("additionalProperties") not in (None, False, True):
            self.lose("additionalProperties")
        properties = node.get("properties")
        if not isinstance(properties, dict) or out.get("type", "OBJECT") != "OBJECT":
            return
        if properties:
            out["properties"] = {str(name): self.node(child, refs, depth + 1) for name, child in properties.items()}
        required = node.get("required")
        if isinstance(required, list) and (names := [one for one in required if isinstance(one, str) and one in properties]):
            out["required"] = names

    def _items(self, node: Node, out: Node, refs: tuple[str, ...], depth: int) -> None:
        if out.get("type") != "ARRAY":
            return
        items, first = node.get("items"), node.get("prefixItems")
        several = first if isinstance(first, list) else items if isinstance(items, list) else None
        if several:
            self.lose("prefixItems")
            choices: list[Node] = []
            for item in several:
                choice = self.node(item, refs, depth + 1)
                if choice and choice not in choices:
                    choices.append(choice)
            out["items"] = choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {"type": "STRING"}
            return
        child = self.node(items, refs, depth + 1) if isinstance(items, dict) else {}
        if not child:
            self.lose("items of any type, sent as strings")
        out["items"] = child or {"type": "STRING"}

    def _any_of(self, node: Node, out: Node, refs: tuple[str, ...], depth: int) -> None:
        members = [one for name in ("anyOf", "oneOf") if isinstance(node.get(name), list) for one in node[name]]
        if not members:
            return
        choices: list[Node] = []
        for member in members:
            choice = self.node(member, refs, depth + 1)
            if choice.get("type") == "NULL":
                out["nullable"] = True
            elif choice and choice not in choices:
                choices.append(choice)
        if len(choices) == 1:
            out.update({name: value for name, value in choices[0].items() if name not in out or name == "type"})
        elif choices:
            out["anyOf"] = choices
            if "properties" not in out:
                out.pop("type", None)  # beside anyOf no other type may stand
        elif not out.get("nullable"):
            self.lose("anyOf")  # what is left of each says nothing (only `required`, mostly)


_READ = frozenset((
    "type", "enum", "const", "properties", "required", "items", "prefixItems", "anyOf", "oneOf", "allOf", "$ref",
    "additionalProperties", "exclusiveMinimum", "exclusiveMaximum",
))  # fmt: skip


def _inferred(node: Node) -> list[str]:
    if "properties" in node or "additionalProperties" in node:
        return ["object"]
    return ["array"] if "items" in node or "prefixItems" in node else []
