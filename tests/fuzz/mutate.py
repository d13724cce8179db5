"""Damage: what a hostile or broken peer could make of a good body."""

from __future__ import annotations

import json
import random
from typing import Any

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 5, 3.5, 1e30, 2**70, "", "x", "\u2028", "\ud800", "data:image/png;base64,QQ=="),
    *([], {}, [1], [None], [{}], [[]], {"a": 1}, {"type": "text"}, {"type": "x", "text": 1}, "A" * 3000),
)
FRAGMENTS = (
    b"\0",
    b"\xff",
    b"\n\n",
    b"\r",
    b"data:",
    b"data: [DONE]\n\n",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"event: error\n",
    b"null",
)


def structure(value: Any, dice: random.Random) -> Any:
    """`value` with one to three places of it replaced, removed, doubled or swapped for another."""
    value = json.loads(json.dumps(value))
    places: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        node = stack.pop()
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        places += [(node, key) for key in keys]
        stack += [node[key] for key in keys]
    for node, key in dice.sample(places, min(len(places), dice.choice((1, 1, 2, 3)))):
        act = dice.random()
        if isinstance(node, dict) and act < 0.2:
            node.pop(key, None)
        elif isinstance(node, list) and act < 0.3 and key < len(node):
            node.append(node[key])
        elif act < 0.4 and places:
            other, at = dice.choice(places)
            if isinstance(other, dict) and at in other:
                node[key] = json.loads(json.dumps(other[at], default=str))
        elif isinstance(node, dict) or key < len(node):
            node[key] = dice.choice(VALUES)
    return value


def octets(data: bytes, dice: random.Random) -> bytes:
    """`data` cut, with bytes flipped, pieces doubled, moved, or foreign ones put in."""
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at, to = sorted((dice.randrange(len(out) + 1), dice.randrange(len(out) + 1)))
        act = dice.randrange(6)
        if act == 0:
            del out[at:]
        elif act == 1 and out:
            out[dice.randrange(len(out))] = dice.randrange(256)
        elif act == 2:
            out[at:at] = dice.choice(FRAGMENTS)
        elif act == 3:
            del out[at : min(to, at + 40)]
        elif act == 4:
            out[to:to] = out[at : min(to, at + 400)]
        else:
            out[at:at] = bytes(dice.randrange(256) for _ in range(dice.randrange(1, 9)))
    return bytes(out)


def pieces(data: bytes, dice: random.Random) -> list[bytes]:
    """`data` in one to nine pieces."""
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randrange(9)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
