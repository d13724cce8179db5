"""YAML text -> a tree of nodes that know their line. Safe for hostile text: no objects, no recursion, bounded aliases.

Built from libyaml's events, not from `yaml.load`: that keeps no line numbers, takes the last of two equal keys, and its
composer recurses in C, so that 200 kB of "[" end the process.
What the values mean is shape.py's matter. Mapping keys are always text, so a route may be called `4` or `on`.
"""

from __future__ import annotations

from typing import Any

import yaml
from msgspec import Struct
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

from freehold.config.problem import Path, Problem, dotted, shown

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 50
MAX_NODES = 200_000  # with every alias expanded

_STR = "tag:yaml.org,2002:str"
_resolver: Any = Resolver()
_constructor: Any = SafeConstructor()


class Node(Struct):
    """`value`: a scalar (str, int, float, bool, None, date...), a list of nodes, or a dict of nodes.

    `size` counts the nodes in it with every alias expanded.
    """

    value: Any
    line: int
    size: int = 1

    def at(self, path: Path) -> Node:
        """The node at `path`, or the nearest one above it that exists."""
        node = self
        for step in path:
            try:
                node = node.value[step]
            except (KeyError, IndexError, TypeError):
                break
        return node


class _Open(Struct):
    """A mapping or sequence whose end has not come."""

    node: Node
    anchor: str | None
    key: str | None = None
    key_line: int = 0
    merged: dict[str, Node] | None = None  # from `<<`: explicit keys win


class Unreadable(Exception):
    """The text is no YAML document of ours; `problem` says why."""

    def __init__(self, message: str, line: int = 0, hint: str = "", path: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(path, message, hint, line)


def read(text: bytes | str) -> tuple[Node, list[Problem]]:
    """The document's root (an empty mapping for an empty document) and the problems that do not stop the reading.

    Raises Unreadable: too large, not UTF-8, not YAML, several documents, too deep, too many nodes.
    """
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogatepass")
    if len(text) > MAX_BYTES:
        raise Unreadable(f"the file is {len(text):,} bytes long; at most {MAX_BYTES:,} are read")
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"byte {error.start:,} is not UTF-8", hint="save the file as UTF-8") from None
    builder = _Builder()
    try:
        for event in yaml.parse(decoded, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        context = f" {error.context}" if error.context else ""
        raise Unreadable(f"not YAML:{context} {error.problem or ''}".rstrip(), line, _yaml_hint(decoded, line)) from None
    except yaml.YAMLError as error:
        # The reader's own errors (control characters) carry a position in `position`, not a mark.
        at = getattr(error, "position", None)
        line = decoded.count("\n", 0, at) + 1 if isinstance(at, int) else 0
        raise Unreadable("not YAML: it holds a character that YAML does not allow", line) from None
    return builder.root or Node({}, 1), builder.problems


def scalar(text: str, tag: str | None = None) -> object:
    """What YAML reads in an unquoted text: a number, a switch, nothing, a date or the text. Raises ValueError if it can't."""
    try:
        return _constructor.construct_object(ScalarNode(tag or _resolver.resolve(ScalarNode, text, (True, False)), text))
    except ConstructorError:
        raise ValueError(f"the tag {shown(tag)} is not known") from None
    except (ValueError, OverflowError):
        raise ValueError("a number or date that cannot be read") from None


def _yaml_hint(text: str, line: int) -> str:
    lines = text.split("\n")
    if any(row.startswith("\t") or row.lstrip(" ").startswith("\t") for row in lines[max(line - 2, 0) : line]):
        return "indent with spaces, not tabs"
    return ""


class _Builder:
    def __init__(self) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        match event:
            case yaml.ScalarEvent():
                self._scalar(event, line)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._begin(event, line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event.anchor or "", line)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise Unreadable("a second YAML document begins here", line, "keep one document: remove the line ---")

    def _path(self) -> Path:
        return tuple(o.key or "" if isinstance(o.node.value, dict) else len(o.node.value) for o in self._open)

    def _wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].node.value, dict) and self._open[-1].key is None

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if self._wants_key():
            top = self._open[-1]
            top.key, top.key_line = event.value, line
            if event.anchor:
                self._anchors[event.anchor] = Node(event.value, line)
            return
        node = Node(self._value(event, line), line)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._add(node)

    def _value(self, event: yaml.ScalarEvent, line: int) -> object:
        tag = event.tag
        if tag is None or tag == "!":
            tag = _resolver.resolve(ScalarNode, event.value, event.implicit)
        if tag == _STR:
            return event.value
        try:
            return scalar(event.value, tag)
        except ValueError as error:
            self._problem(str(error), line, "put it in quotes if it is text")
            return None

    def _begin(self, event: Any, line: int) -> None:
        if self._wants_key():
            raise Unreadable("a mapping key must be plain text", line, 'a value that begins with { or [ needs quotes: "{...}"')
        if len(self._open) >= MAX_DEPTH:
            raise Unreadable(f"nested more than {MAX_DEPTH} levels deep", line)
        if event.tag is not None and event.tag not in ("!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            self._problem(f"the tag {shown(event.tag)} is not known", line, "write plain YAML, without tags")
        self._open.append(_Open(Node({} if isinstance(event, yaml.MappingStartEvent) else [], line), event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        if done.merged:
            done.node.value = {**{k: n for k, n in done.merged.items() if k not in done.node.value}, **done.node.value}
        if done.anchor:  # known from here on only: an alias inside its own anchor would never end
            self._anchors[done.anchor] = done.node
        self._add(done.node)

    def _alias(self, anchor: str, line: int) -> None:
        node = self._anchors.get(anchor)
        if node is None:
            raise Unreadable(f"the alias *{shown(anchor)} has no anchor before it", line)
        if self._wants_key():
            raise Unreadable("a mapping key must be plain text, not an alias", line)
        self._add(node)

    def _add(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        top.node.size += node.size
        if top.node.size > MAX_NODES:
            raise Unreadable(f"more than {MAX_NODES:,} values once its aliases are expanded", node.line)
        if isinstance(top.node.value, list):
            top.node.value.append(node)
            return
        key, top.key = top.key, None
        assert key is not None
        if key == "<<":
            self._merge(top, node)
        elif key in top.node.value:
            first = top.node.value[key].line
            path = dotted((*self._path()[:-1], key))
            hint = f"first on line {first}; remove or rename one"
            self.problems.append(Problem(path, "the same key is written twice", hint, top.key_line))
        else:
            top.node.value[key] = node

    def _merge(self, top: _Open, node: Node) -> None:
        sources = node.value if isinstance(node.value, list) else [node]
        top.merged = top.merged or {}
        for source in sources:
            if not isinstance(source.value, dict):
                self._problem("<< takes a mapping or a list of mappings", top.key_line)
                return
            for key, value in source.value.items():
                top.merged.setdefault(key, value)

    def _problem(self, message: str, line: int, hint: str = "") -> None:
        self.problems.append(Problem(dotted(self._path()), message, hint, line))
