"""A document against the structs of schema.py: every departure with its path, not only the first.

`Shape.value` walks node and type side by side and builds the structs. A mistake does not stop it: the field keeps its
default (or stays empty, if it has none), the path goes into `bad`, and the rules can still look at all the rest.
`${NAME}` and `${NAME:-default}` are filled in here, where the path is known and after YAML has been parsed, so that a
variable's content can never become structure. `$${` stands for a plain `${`. A field for a secret may also be a reference to
one (references.py), or hold it as `${file:...}` or `${vault:...}` among other text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from msgspec import inspect as kinds

from freehold.config.document import Node, scalar
from freehold.config.problem import Path, Problem, dotted, nearest, shown
from freehold.config.references import References, SecretError, is_reference

BAD: Any = object()

_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}|\$\{((?:file|vault):[^}]*)\}|\$\{")


class Shape:
    """`problems` in the order met; `bad`: the paths whose values could not be used."""

    def __init__(self, env: Mapping[str, str], references: References) -> None:
        self.problems: list[Problem] = []
        self.bad: set[Path] = set()
        self._env = env
        self._references = references

    def value(self, node: Node, kind: kinds.Type, path: Path) -> Any:
        """The value for a field of this type, or BAD after telling why."""
        match kind:
            case kinds.StructType():
                return self._struct(node, kind, path)
            case kinds.DictType():
                return self._dict(node, kind, path)
            case kinds.ListType():
                return self._list(node, kind, path)
            case kinds.UnionType():
                if node.value is None:
                    return None
                return self.value(node, _chosen(kind, node), path)
        secret = isinstance(kind, kinds.Metadata)  # the only use that schema.py has for it
        if isinstance(kind, kinds.Metadata):
            kind = kind.type
        value = self._fill(node, kind, path, secret) if isinstance(node.value, str) else node.value
        return value if value is BAD else self._scalar(Node(value, node.line), kind, path)

    def _tell(self, path: Path, message: str, hint: str, node: Node) -> None:
        self.problems.append(Problem(dotted(path), message, hint, node.line))

    def _problem(self, path: Path, message: str, hint: str, node: Node) -> Any:
        self._tell(path, message, hint, node)
        self.bad.add(path)
        return BAD

    def _struct(self, node: Node, kind: kinds.StructType, path: Path) -> Any:
        fields = {f.encode_name: f for f in kind.fields}
        value = {} if node.value is None else node.value
        if not isinstance(value, dict):
            self._wrong(node, f"a mapping with the fields {', '.join(fields)}", path)
            return _empty(kind)
        out: dict[str, Any] = {}
        for name, child in value.items():
            known = fields.get(name)
            if known is None:
                self._tell((*path, name), f'unknown field "{shown(name)}"', nearest(name, fields), child)
                continue
            found = self.value(child, known.type, (*path, name))
            if found is not BAD:
                out[name] = found
        for name, known in fields.items():
            if known.required and name not in value:
                self._problem((*path, name), f'the field "{name}" is missing', f"add {name}: {_example(known.type)}", node)
            if known.required and name not in out:
                out[name] = _empty(known.type)
        return kind.cls(**out)

    def _dict(self, node: Node, kind: kinds.DictType, path: Path) -> Any:
        if node.value is None:
            return {}
        if not isinstance(node.value, dict):
            return self._wrong(node, "a mapping, such as {name: ...}", path)
        values = {name: self.value(child, kind.value_type, (*path, name)) for name, child in node.value.items()}
        return {name: _empty(kind.value_type) if value is BAD else value for name, value in values.items()}

    def _list(self, node: Node, kind: kinds.ListType, path: Path) -> Any:
        if node.value is not None and not isinstance(node.value, list):
            hint = "" if isinstance(node.value, dict) else "put it in brackets: [...]"
            return self._wrong(node, "a list", path, hint)
        items = node.value or []
        if kind.min_length and len(items) < kind.min_length:
            return self._problem(path, "the list is empty", f"write at least {kind.min_length}", node)
        values = [self.value(child, kind.item_type, (*path, i)) for i, child in enumerate(items)]
        return [_empty(kind.item_type) if value is BAD else value for value in values]

    def _fill(self, node: Node, kind: kinds.Type, path: Path, secret: bool) -> Any:
        """The text with its variables filled in; where the field is a number or a switch, read as YAML would read it plain."""
        before = len(self.problems)

        def replace(match: re.Match[str]) -> str:
            name, default, reference = match.groups()
            if match[0] == "$${":
                return "${"
            if reference is not None:
                if not secret:
                    # Elsewhere values are shown: in messages, lists of models, the record of calls.
                    self._problem(path, "a secret is not read here", "references stand in fields for secrets, see the docs", node)
                    return ""
                return self._resolved(reference, path, node)
            if name is None:
                hint = "write ${NAME}, ${NAME:-default}, ${file:...} or ${vault:...}; $${ is a plain ${"
                self._problem(path, "${ begins a variable that is not well written", hint, node)
                return ""
            # As in the shell, `:-` also replaces an empty variable.
            value = self._env.get(name)
            if default is not None:
                return value or default
            if value is None:
                hint = f"set it, or give a default: ${{{name}:-...}}"
                self._problem(path, f"the environment variable {name} is not set", hint, node)
            return value or ""

        text = _VARIABLE.sub(replace, node.value)
        if secret and is_reference(text) and len(self.problems) == before:
            text = self._resolved(text, path, node)
        if len(self.problems) > before:
            return BAD
        if text != node.value and not isinstance(kind, kinds.StrType | kinds.LiteralType):
            try:
                return scalar(text)
            except ValueError as error:
                return self._problem(path, str(error), f"for example {_example(kind)}", node)
        return text

    def _resolved(self, reference: str, path: Path, node: Node) -> str:
        """The secret, or "" after telling why there is none."""
        try:
            return self._references.resolve(reference)
        except SecretError as error:
            self._problem(path, error.message, error.hint, node)
            return ""

    def _scalar(self, node: Node, kind: kinds.Type, path: Path) -> Any:
        value = node.value
        match kind:
            case kinds.StrType():
                if not isinstance(value, str):
                    hint = "put it in quotes" if isinstance(value, int | float | date) else ""
                    return self._wrong(node, "text", path, hint)
                return self._length(node, kind, path)
            case kinds.LiteralType():
                if value not in kind.values:
                    choices = " or ".join(str(v) for v in kind.values)
                    return self._problem(path, f'"{shown(value)}" is not one of the choices', f"write {choices}", node)
            case kinds.BoolType():
                if not isinstance(value, bool):
                    return self._wrong(node, "true or false", path)
            case kinds.IntType() | kinds.FloatType():
                whole = isinstance(kind, kinds.IntType)
                if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                    return self._wrong(node, "a whole number" if whole else "a number", path, f"for example {_example(kind)}")
                return self._range(node, kind, path)
            case _:
                raise TypeError(f"{dotted(path)}: no rule for {kind}")
        return value

    def _length(self, node: Node, kind: kinds.StrType, path: Path) -> Any:
        length = len(node.value)
        if kind.min_length and length < kind.min_length:
            return self._problem(path, "the text is empty", f"write at least {kind.min_length} character(s)", node)
        if kind.max_length is not None and length > kind.max_length:
            return self._problem(path, f"the text is {length} characters long", f"at most {kind.max_length} fit", node)
        return node.value

    def _range(self, node: Node, kind: kinds.IntType | kinds.FloatType, path: Path) -> Any:
        value = node.value
        bounds = [("more than", kind.gt), ("at least", kind.ge), ("at most", kind.le), ("less than", kind.lt)]
        said = " and ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)
        inside = (
            math.isfinite(value)
            and (kind.gt is None or value > kind.gt)
            and (kind.ge is None or value >= kind.ge)
            and (kind.le is None or value <= kind.le)
            and (kind.lt is None or value < kind.lt)
        )
        if not inside:
            return self._problem(path, f"{shown(value)} is out of range", f"it must be {said or 'finite'}", node)
        return value if isinstance(kind, kinds.IntType) else float(value)

    def _wrong(self, node: Node, expected: str, path: Path, hint: str = "") -> Any:
        return self._problem(path, f"expected {expected}, got {_named(node.value)}", hint, node)


def _empty(kind: kinds.Type) -> Any:
    """Stands in for a value that must be there and is not, while the rest is looked at. Never leaves this folder."""
    match kind:
        case kinds.StructType():
            return kind.cls(**{f.encode_name: _empty(f.type) for f in kind.fields if f.required})
        case kinds.ListType():
            return []
        case kinds.DictType():
            return {}
        case kinds.IntType() | kinds.FloatType():
            return 0
    return ""


def _named(value: object) -> str:
    """What kind of value it is. Never the value: it may be a secret in the wrong place."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case date():
            return "a date"
    return "something else"


def _example(kind: kinds.Type) -> str:
    match kind:
        case kinds.IntType():
            return str(kind.ge if kind.ge is not None else 1)
        case kinds.FloatType():
            return "1.5"
        case kinds.ListType():
            return "[...]"
        case kinds.DictType() | kinds.StructType():
            return "{...}"
    return "..."


def _chosen(kind: kinds.UnionType, node: Node) -> kinds.Type:
    """Beside None a union has one type, or one that is written as a mapping and one that is not."""
    types = [one for one in kind.types if not isinstance(one, kinds.NoneType)]
    is_mapping = isinstance(node.value, dict)
    return next((one for one in types if isinstance(one, kinds.StructType) == is_mapping), types[0])
